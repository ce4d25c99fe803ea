"""What the rest of the house knows of a deployment and of a model, in plain values.

A spec is read without torch, without Ray and without any model's library: what it builds or loads is imported when it
is asked to. `deployments.specs` finds all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from deployments.pictures.inputs import PictureInput
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

    from deployments.runtime.columns import Columns
    from deployments.runtime.model import Model


@dataclass(frozen=True)
class Deployed:
    """A deployment that is bound into the application, and the models that it serves."""

    handle: "DeploymentHandle[Any]"
    models: tuple[Weights, ...]


# From the settings, the chosen weights, and the deployments that it asks and that are switched on.
Arguments = Callable[[Settings, tuple[Weights, ...], Mapping[str, Deployed]], tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """A deployment that can be switched on.

    Attributes:
        name: in the Serve config.
        purpose: a phrase for people.
        library: the module that it needs.
        extra: the extra of pyproject.toml that installs the library; empty where it comes with Panoptes itself.
        models: the names of its models, which stand in /health even when it is switched off; none for a deployment
            that is no model.
        weights: what it serves with these settings; nothing is loaded.
        package: its folder: `deployment.py` has the Serve deployment, a class with this name.
        arguments: what the deployment is built with.
        asks: which of the deployments that are bound before it it calls.
    """

    name: str
    purpose: str
    library: str
    extra: str
    models: tuple[str, ...]
    weights: Callable[[Settings], tuple[Weights, ...]]
    package: str
    arguments: Arguments
    asks: "Callable[[DeploymentSpec], bool]" = lambda spec: False

    def deployment(self) -> Any:
        """The Serve deployment, which is imported now."""
        return getattr(import_module(f"{self.package}.deployment"), self.name)

    @property
    def switch(self) -> str:
        """The environment variable that switches it on and off."""
        return f"{self.name}_ENABLED".upper()


@dataclass(frozen=True)
class AnalysisSpec:
    """Something that a model says of a picture: `run_<name>` in /v1/analyze, `--analyses <name>` in jobs.analyze.

    Its wire types and its renderer are `serve_app/schemas/answers/<name>.py`, its columns in a job's table are in the
    model's `columns.py`.

    Attributes:
        description: of the flag `run_<name>`.
        default: whether /v1/analyze runs it unless it is told.
        job_default: whether jobs.analyze does.
        arguments: of the deployment's `analyze`, after the picture.
    """

    name: str
    description: str
    default: bool = False
    job_default: bool = False
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelSpec(DeploymentSpec):
    """A deployment that looks at pictures.

    Attributes:
        takes: what it is given of a picture, with these weights.
        load: the plain model on the CPU, without Ray, from the settings and the chosen weights.
        analyses: what it says of a picture.
        catalogue: whether it looks at every upload of the catalogue.
    """

    takes: Callable[[tuple[Weights, ...]], PictureInput]
    load: "Callable[[Settings, tuple[Weights, ...]], Model[Any, Any]]"
    analyses: tuple[AnalysisSpec, ...]
    catalogue: bool = False

    def columns(self) -> "Mapping[str, Columns]":
        """The columns of each analysis in a job's table, by its name; needs the extra `jobs`."""
        found: Mapping[str, Columns] = import_module(f"{self.package}.columns").COLUMNS
        return found
