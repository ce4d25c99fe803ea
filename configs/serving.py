"""Serve configs and the environment: what is switched off is left out, which Ray wants so, and tracing comes in."""

import copy
from pathlib import Path
from typing import Any

import yaml

from configs import tracing
from configs.settings import Settings, load_settings

NOTE = "# Written by `make serve` from serve_config.yaml, without the deployments that are switched off.\n"


def enabled_only(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a Serve config without the deployments that its `args` and the environment switch off.

    Where an OTLP endpoint is set it says `tracing_config`, unless it did.

    Raises:
        SettingsError: the settings of an application, or those of tracing, cannot work.
    """
    config = copy.deepcopy(config)
    if tracing.is_on():
        config.setdefault("tracing_config", tracing.serve_tracing())
    for application in config["applications"]:
        settings = load_settings(application.get("args"))
        application["deployments"] = [
            deployment for deployment in application.get("deployments", []) if _enabled(deployment["name"], settings)
        ]
    return config


def _enabled(deployment: str, settings: Settings) -> bool:
    """`<NAME>_ENABLED`; the ingress has no switch."""
    return bool(getattr(settings, f"{deployment}_enabled".lower(), True))


def write_enabled(source: Path, target: Path) -> None:
    """Write `enabled_only` of a file."""
    config = enabled_only(yaml.safe_load(source.read_text(encoding="utf-8")))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(NOTE + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
