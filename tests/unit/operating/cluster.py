"""cluster.yaml, read: its parts by the names that the tests use."""

from typing import Any

import yaml

from tests.unit.operating.kubernetes import manifests

SERVICE, CLAIM, POLICY = manifests("cluster.yaml")
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
HEAD, GROUPS = CLUSTER["headGroupSpec"], {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
PODS = {"head": HEAD["template"]["spec"], **{name: group["template"]["spec"] for name, group in GROUPS.items()}}
SERVED = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])
DEPLOYMENTS = {one["name"]: one for one in SERVED["applications"][0]["deployments"]}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


def environment(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in container(pod)["env"]}


def values() -> dict[str, str]:
    return {name: one["value"] for name, one in environment(PODS["head"]).items() if "value" in one}
