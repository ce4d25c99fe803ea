"""Serve configs and the switches: Ray refuses a config that lists a deployment which is switched off."""

import copy
from pathlib import Path
from typing import Any

import yaml

from configs.settings import Settings, load_settings

NOTE = "# Written by `make serve` from serve_config.yaml, without the deployments that are switched off.\n"


def enabled_only(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a Serve config without the deployments that its `args` and the environment switch off.

    Raises:
        SettingsError: the settings of an application cannot work.
    """
    config = copy.deepcopy(config)
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
