"""The specs of all deployments, found by the `spec.py` of their folders."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from configs.registry import entry_names
from deployments.runtime.spec import AnalysisSpec, DeploymentSpec, ModelSpec

# The packages of the deployments that have no entry in configs/models.yaml, in the order in which they are bound.
OTHERS = ("deployments.clustering", "deployments.models.llm", "deployments.work", "deployments.catalogue")


@cache
def all_specs() -> dict[str, DeploymentSpec]:
    """All specs by the deployments' names: those of configs/models.yaml in its order, then the others."""
    rooms = [*(_room(name) for name in entry_names()), *OTHERS]
    specs: list[DeploymentSpec] = [import_module(f"{room}.spec").SPEC for room in rooms]
    return {spec.name: spec for spec in specs}


@cache
def model_specs() -> dict[str, ModelSpec]:
    """The specs of the models that look at pictures, by the deployments' names."""
    return {name: spec for name, spec in all_specs().items() if isinstance(spec, ModelSpec)}


@cache
def analyses() -> dict[str, tuple[AnalysisSpec, ModelSpec]]:
    """All analyses by name, each with the spec of its model."""
    return {one.name: (one, spec) for spec in model_specs().values() for one in spec.analyses}


def _room(name: str) -> str:
    """The package of an entry of configs/models.yaml."""
    model = f"deployments.models.{name}"
    return model if find_spec(model) else f"deployments.{name}"
