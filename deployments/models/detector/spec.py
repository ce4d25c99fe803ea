"""What the detector is, read without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from deployments.models.detector.settings import DetectorSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained_spec import choose, replica_arguments
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.detector.model import DetectorModel
    from deployments.runtime.columns import Columns


def _deployment() -> Any:
    from deployments.models.detector.deployment import Detector

    return Detector


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    own = settings.of(DetectorSettings)
    return (
        *replica_arguments(settings, DetectorSettings, weights),
        own.max_tokens,
    )


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "DetectorModel":
    from deployments.models.detector.model import DetectorModel
    from deployments.runtime.devices import select

    chosen, dtypes, *_ = replica_arguments(settings, DetectorSettings, weights)
    return DetectorModel(chosen, select(dtypes, 0, 0), settings.of(DetectorSettings).max_tokens)


def _columns() -> "Mapping[str, Columns]":
    from deployments.models.detector.columns import COLUMNS

    return COLUMNS


SPEC = ModelSpec(
    name="Detector",
    purpose="objects by Florence-2",
    library="transformers",
    extra="transformers",
    models=("detector",),
    weights=lambda settings: choose(settings, DetectorSettings),
    deployment=_deployment,
    arguments=_arguments,
    load=_load,
    # More pixels than the largest input of a known checkpoint: what is scaled down twice must not lose by it.
    takes=lambda weights: Reduced(1152),
    columns=_columns,
    analyses=(AnalysisSpec("objects", "The things in it, as /v1/objects."),),
)
