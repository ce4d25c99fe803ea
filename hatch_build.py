"""Refuses every build of Panoptes but that of an editable checkout; pyproject.toml says why."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REFUSAL = "Panoptes is installed only from its checkout: `uv pip install --no-deps --editable .` (or `make setup`)."


class CheckoutOnly(BuildHookInterface[Any]):
    """Asked by hatchling before it builds a wheel or a source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Ends the build with one sentence unless `version`, the kind of the build, is "editable"."""
        if version != "editable":
            raise SystemExit(REFUSAL)
