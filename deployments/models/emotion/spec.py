"""The spec of Emotion, importable without its libraries."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from configs.registry import read_entry
from configs.settings import Settings
from deployments.models.emotion.settings import EmotionEntry, EmotionSettings
from deployments.pictures.inputs import Whole
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import FileWeights, Weights, choose_file, deepface_home

if TYPE_CHECKING:
    from deployments.models.emotion.model import EmotionModel

WEIGHTS_FOLDER = Path(".deepface", "weights")


def _entry() -> EmotionEntry:
    return read_entry("emotion", EmotionEntry)


def _weights(settings: Settings) -> tuple[Weights, ...]:
    service, cache = settings.service, deepface_home() / WEIGHTS_FOLDER
    return (choose_file("deepface", _entry().network, cache, service.weights, service.verify_weights),)


def _model_arguments(settings: Settings, weights: tuple[Weights, ...]) -> tuple[FileWeights, str, int, int]:
    own = settings.of(EmotionSettings)
    return cast("FileWeights", weights[0]), own.detector, _entry().threads, own.max_side


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return _model_arguments(settings, weights)


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "EmotionModel":
    from deployments.models.emotion.model import EmotionModel

    return EmotionModel(*_model_arguments(settings, weights))


SPEC = ModelSpec(
    name="Emotion",
    purpose="faces and their emotions by DeepFace",
    library="deepface",
    extra="emotion",
    models=("deepface",),
    weights=_weights,
    package="deployments.models.emotion",
    arguments=_arguments,
    load=_load,
    takes=lambda weights: Whole(),
    analyses=(AnalysisSpec("emotion", "Faces and their emotions.", default=True),),
)
