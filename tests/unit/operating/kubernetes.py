"""Manifests judged by the CRD schemas of KubeRay, more strictly than a server does: it drops a field it does not know."""

from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from configs.project import PROJECT
from testbed.paths import shared

Schema = dict[str, Any]

FILES = {"RayService": "ray.io_rayservices.yaml", "RayJob": "ray.io_rayjobs.yaml"}
METADATA: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}


def manifests(file: str) -> list[dict[str, Any]]:
    """The documents of a manifest file, by its path from the top of the project."""
    return list(yaml.safe_load_all((PROJECT / file).read_text(encoding="utf-8")))


def problems(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with a manifest, each with its place; skips the test when the schemas are absent."""
    validator = Draft202012Validator(_schema(manifest["kind"], manifest["apiVersion"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@cache
def _schema(kind: str, version: str) -> Schema:
    if kind in FILES:
        schema = _crd(kind)
        assert version == "ray.io/v1"
        return _strict({**schema, "properties": {**schema["properties"], "metadata": METADATA}})
    # KubeRay's schemas hold those of Kubernetes' own kinds where a RayCluster speaks of them.
    cluster = _crd("RayService")["properties"]["spec"]["properties"]["rayClusterConfig"]["properties"]
    if (kind, version) == ("NetworkPolicy", "networking.k8s.io/v1"):
        rules = cluster["networkPolicy"]["properties"]["head"]["properties"]["ingressRules"]
        peers = rules["items"]["properties"]["from"]["items"]["properties"]
        types = {"type": "array", "items": {"enum": ["Ingress", "Egress"]}}
        spec = {"podSelector": peers["podSelector"], "policyTypes": types, "ingress": rules}
        return _strict(_object(spec))
    assert (kind, version) == ("PersistentVolumeClaim", "v1"), f"no schema for {kind} {version}"
    pod = cluster["headGroupSpec"]["properties"]["template"]["properties"]["spec"]["properties"]
    claim = pod["volumes"]["items"]["properties"]["ephemeral"]["properties"]["volumeClaimTemplate"]
    return _strict(_object(claim["properties"]["spec"]["properties"]))


def _object(spec: Schema) -> Schema:
    text = {"type": "string"}
    own = {"type": "object", "properties": spec}
    return {"type": "object", "properties": {"apiVersion": text, "kind": text, "metadata": METADATA, "spec": own}}


@cache
def _crd(kind: str) -> Schema:
    text = shared(f"kuberay/{FILES[kind]}").read_text(encoding="utf-8")
    # The safe loader, in C.
    versions = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"]
    schema: Schema = next(one for one in versions if one["name"] == "v1")["schema"]["openAPIV3Schema"]
    return schema


def _strict(schema: Schema) -> Schema:
    """The schema, refusing every field that it does not list."""
    stricter = {key: _strict_within(value) for key, value in schema.items()}
    is_closed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if is_closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        stricter.setdefault("additionalProperties", False)
    return stricter


def _strict_within(value: Any) -> Any:
    """A value of a schema, with every schema in it made strict."""
    if isinstance(value, dict):
        return _strict(value)
    return [_strict_within(one) for one in value] if isinstance(value, list) else value
