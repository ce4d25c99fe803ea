"""What the captioner is, read without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from deployments.models.captioner.settings import CaptionerSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained_spec import choose, replica_arguments
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.captioner.model import CaptionerModel
    from deployments.runtime.columns import Columns


def _deployment() -> Any:
    from deployments.models.captioner.deployment import Captioner

    return Captioner


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    own = settings.of(CaptionerSettings)
    return (
        *replica_arguments(settings, CaptionerSettings, weights),
        own.max_tokens,
    )


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "CaptionerModel":
    from deployments.models.captioner.model import CaptionerModel
    from deployments.runtime.devices import select

    chosen, dtypes, *_ = replica_arguments(settings, CaptionerSettings, weights)
    return CaptionerModel(chosen, select(dtypes, 0, 0), settings.of(CaptionerSettings).max_tokens)


def _columns() -> "Mapping[str, Columns]":
    from deployments.models.captioner.columns import COLUMNS

    return COLUMNS


SPEC = ModelSpec(
    name="Captioner",
    purpose="a caption by BLIP",
    library="transformers",
    extra="transformers",
    models=("captioner",),
    weights=lambda settings: choose(settings, CaptionerSettings),
    deployment=_deployment,
    arguments=_arguments,
    load=_load,
    # More pixels than the largest input of a known checkpoint: what is scaled down twice must not lose by it.
    takes=lambda weights: Reduced(768),
    columns=_columns,
    analyses=(AnalysisSpec("caption", "A sentence that describes it, as /v1/caption."),),
    catalogue=True,
)
