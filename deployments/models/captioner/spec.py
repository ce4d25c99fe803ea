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


def _bind(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> Any:
    from deployments.models.captioner.deployment import Captioner

    return Captioner.bind(*replica_arguments(settings, CaptionerSettings, weights), settings.of(CaptionerSettings).max_tokens)


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "CaptionerModel":
    from deployments.models.captioner.model import CaptionerModel
    from deployments.runtime.devices import select

    chosen, dtypes, *_ = replica_arguments(settings, CaptionerSettings, weights)
    return CaptionerModel(chosen, select(dtypes, 0, 0), settings.of(CaptionerSettings).max_tokens)


SPEC = ModelSpec(
    name="Captioner",
    purpose="a caption by BLIP",
    library="transformers",
    extra="transformers",
    models=("captioner",),
    weights=lambda settings: choose(settings, CaptionerSettings),
    bind=_bind,
    load=_load,
    # More pixels than the largest input of a known checkpoint: what is scaled down twice must not lose by it.
    takes=lambda weights: Reduced(768),
    analyses=(AnalysisSpec("caption", "A sentence that describes it, as /v1/caption."),),
    catalogue=True,
)
