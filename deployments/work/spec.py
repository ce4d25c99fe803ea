"""The spec of the record of jobs."""

from collections.abc import Mapping
from typing import Any

from configs.settings import Settings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights

WORK = Weights("work", "record of the jobs of /process", "panoptes/work", "builtin")


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return ()


SPEC = DeploymentSpec(
    name="Work",
    purpose="the record of the jobs of /process",
    library="ray",
    extra="",
    models=(),
    weights=lambda settings: (WORK,),
    package="deployments.work",
    arguments=_arguments,
)
