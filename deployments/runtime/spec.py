"""The spec of a deployment or a model: what the other packages know about it.

A spec is importable without torch, without Ray and without any model's library; these are imported only when it builds
or loads something. `deployments.specs` collects all specs.
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


# Takes the settings, the chosen weights, and the enabled deployments that this one calls.
Arguments = Callable[[Settings, tuple[Weights, ...], Mapping[str, Deployed]], tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """A deployment that can be switched on.

    Attributes:
        name: its name in the Serve config.
        purpose: a short description for people.
        library: the module that it needs.
        extra: the extra of pyproject.toml that installs the library; empty where it comes with Panoptes itself.
        models: the names of its models, listed in /health even when it is switched off; empty for a deployment
            without a model.
        weights: chooses what it serves, from the settings; loads nothing.
        package: its package; the module `deployment` has the Serve deployment, a class called `name`.
        arguments: makes the arguments of the deployment's constructor.
        asks: whether it calls the given deployment, which must be bound before it.
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
        """Import and return the Serve deployment."""
        return getattr(import_module(f"{self.package}.deployment"), self.name)

    @property
    def switch(self) -> str:
        """The environment variable that switches it on and off."""
        return f"{self.name}_ENABLED".upper()


@dataclass(frozen=True)
class AnalysisSpec:
    """One analysis of a picture by a model: `run_<name>` in /v1/analyze, `--analyses <name>` in jobs.analyze.

    Its wire types and its renderer are in `serve_app/schemas/answers/<name>.py`, its columns in a job's table are in
    the model's `columns.py`.

    Attributes:
        description: of the flag `run_<name>`.
        default: whether /v1/analyze runs it by default.
        job_default: whether jobs.analyze runs it by default.
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
        takes: the input that it needs of a picture, for the chosen weights.
        load: loads the plain model on the CPU, without Ray, from the settings and the chosen weights.
        analyses: its analyses.
        catalogue: whether the catalogue's workers send it every upload.
    """

    takes: Callable[[tuple[Weights, ...]], PictureInput]
    load: "Callable[[Settings, tuple[Weights, ...]], Model[Any, Any]]"
    analyses: tuple[AnalysisSpec, ...]
    catalogue: bool = False

    def columns(self) -> "Mapping[str, Columns]":
        """The columns of each analysis in a job's table, by its name; needs the extra `jobs`."""
        found: Mapping[str, Columns] = import_module(f"{self.package}.columns").COLUMNS
        return found
