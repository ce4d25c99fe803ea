"""Every deployment that there is, found by its folder's `spec.py`."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from configs.registry import entry_names
from deployments.runtime.spec import AnalysisSpec, DeploymentSpec, ModelSpec

# The rooms of deployments that configs/models.yaml does not name, in the order in which they are bound.
OTHERS = ("deployments.clustering", "deployments.models.llm", "deployments.work", "deployments.catalogue")


@cache
def all_specs() -> dict[str, DeploymentSpec]:
    """By the deployments' names: those of configs/models.yaml in its order, then the others."""
    rooms = [*(_room(name) for name in entry_names()), *OTHERS]
    specs: list[DeploymentSpec] = [import_module(f"{room}.spec").SPEC for room in rooms]
    return {spec.name: spec for spec in specs}


@cache
def model_specs() -> dict[str, ModelSpec]:
    """Those that look at pictures."""
    return {name: spec for name, spec in all_specs().items() if isinstance(spec, ModelSpec)}


@cache
def analyses() -> dict[str, tuple[AnalysisSpec, ModelSpec]]:
    """What can be said of a picture, by name, with the model that says it."""
    return {one.name: (one, spec) for spec in model_specs().values() for one in spec.analyses}


def _room(name: str) -> str:
    """The package of an entry of configs/models.yaml."""
    model = f"deployments.models.{name}"
    return model if find_spec(model) else f"deployments.{name}"
