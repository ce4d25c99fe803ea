"""Writes Serve configs: without disabled deployments, with tracing where it is on, and with a cluster's values."""

import copy
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

from configs import tracing
from configs.consistency import check
from configs.project import PROJECT
from configs.settings import SettingsError, load_settings, settings_from
from configs.settings import variables as settings_variables

NOTE = "# Written by `python -m configs --write` from serve_config.yaml, without what is switched off.\n"
SOURCE = PROJECT / "serve_config.yaml"
EVERYONE = "*"
CLUSTER_SOURCE = PROJECT / "configs" / "serve_cluster.yaml"
# The block of a RayService that holds its Serve config, indented as in its `spec`.
BLOCK = re.compile(r"^  serveConfigV2: \|\n(?:    .*\n)*", re.MULTILINE)


def enabled_only(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a Serve config without the deployments that its `args` and the environment switch off.

    Where an OTLP endpoint is set, a `tracing_config` is added unless there is one.

    Raises:
        SettingsError: the settings of an application, or those of tracing, are invalid.
    """
    config = copy.deepcopy(config)
    if tracing.is_on():
        config.setdefault("tracing_config", tracing.serve_tracing())
    for application in config["applications"]:
        settings = load_settings(application.get("args"))
        deployments = application.get("deployments", [])
        application["deployments"] = [one for one in deployments if settings.is_enabled(one["name"])]
    return config


def read_config(source: Path) -> dict[str, Any]:
    """A Serve config as a mapping. Values that anchors repeat are copies, so that each can be changed alone."""
    config: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(source.read_text(encoding="utf-8"))))
    return config


def checked(source: Path) -> dict[str, Any]:
    """`enabled_only` of a file, checked against the settings.

    Raises:
        SettingsError: as `enabled_only` and `consistency.check`.
    """
    config = enabled_only(read_config(source))
    check(config, source.name)
    return config


def write_enabled(source: Path, target: Path) -> None:
    """Write `checked` of a file. A new file, and a new folder for it, can be read by their owner alone."""
    config = checked(source)
    target.parent.mkdir(0o700, parents=True, exist_ok=True)
    target.touch(0o600)
    target.write_text(NOTE + yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def cluster_config() -> dict[str, Any]:
    """The Serve config of the cluster: serve_config.yaml with the values of configs/serve_cluster.yaml.

    Only its `args` switch deployments off: this machine's environment does not apply to the cluster.

    Raises:
        SettingsError: configs/serve_cluster.yaml names something that serve_config.yaml has not.
    """
    config: dict[str, Any] = _changed(read_config(SOURCE), read_config(CLUSTER_SOURCE))
    for application in config["applications"]:
        arguments = application["args"]
        application["deployments"] = [
            deployment
            for deployment in application["deployments"]
            if arguments.get(f"{deployment['name']}_enabled".lower(), True)
        ]
    return config


def _changed(value: Any, change: Any) -> Any:
    """`value` with a change: mappings are merged key by key, lists of named items by name; the rest is replaced.

    A key whose change is null is left out. In a list, the change named `*` applies to every item; the change with an
    item's own name takes precedence.
    """
    if isinstance(value, dict) and change is not None:
        merged = value | {key: _changed(value.get(key), new) for key, new in change.items()}
        return {key: one for key, one in merged.items() if key not in change or change[key] is not None}
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        by_name = {item["name"]: item for item in change}
        everyone = {key: new for key, new in by_name.pop(EVERYONE, {}).items() if key != "name"}
        if unknown := by_name.keys() - {item["name"] for item in value}:
            raise SettingsError(f"{CLUSTER_SOURCE.name} changes what {SOURCE.name} has not: {', '.join(unknown)}")
        return [_changed(_changed(item, everyone), by_name.get(item["name"], {})) for item in value]
    return change


def write_cluster(manifest: Path) -> None:
    """Write `cluster_config` into a RayService, whose other lines stay as they are.

    Raises:
        SettingsError: `cluster_config` cannot be made or contradicts the settings that the manifest gives its pods, or
            the manifest does not have exactly one block for it.
    """
    text = manifest.read_text(encoding="utf-8")
    if len(BLOCK.findall(text)) != 1:
        raise SettingsError(f"{manifest} must have one block `serveConfigV2: |`, two spaces deep in its `spec`")
    config, variables = cluster_config(), _pod_variables(text)
    check(config, CLUSTER_SOURCE.name, lambda args: settings_from({**(args or {}), **variables}), on_cluster=True)
    block = "  serveConfigV2: |\n" + textwrap.indent(yaml.safe_dump(config, sort_keys=False), "    ")
    manifest.write_text(BLOCK.sub(lambda _: block, text), encoding="utf-8")


def _pod_variables(manifest: str) -> dict[str, str]:
    """The settings that a RayService gives its head's container, by their names in lower case; no secrets."""
    known = {one.name for one in settings_variables()}
    (service,) = (one for one in yaml.safe_load_all(manifest) if one["kind"] == "RayService")
    (container,) = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
    return {one["name"].lower(): one["value"] for one in container["env"] if one["name"] in known and one.get("value")}
