"""The spec of Text, importable without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from configs.registry import read_entry
from configs.settings import Settings
from deployments.models.text.settings import TextEntry, TextSettings
from deployments.pictures.inputs import Whole
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import PackagedWeights, Weights, find_packaged

if TYPE_CHECKING:
    from deployments.models.text.model import TextModel


def _entry() -> TextEntry:
    return read_entry("text", TextEntry)


def _model_arguments(settings: Settings, weights: tuple[Weights, ...]) -> tuple[PackagedWeights, int, float, int]:
    own, entry = settings.of(TextSettings), _entry()
    threads = entry.threads if own.threads is None else own.threads
    return cast("PackagedWeights", weights[0]), threads, own.min_confidence, own.max_side


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return _model_arguments(settings, weights)


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "TextModel":
    from deployments.models.text.model import TextModel

    return TextModel(*_model_arguments(settings, weights))


SPEC = ModelSpec(
    name="Text",
    purpose="the text in a picture, line by line, by PP-OCRv6",
    package="deployments.models.text",
    library="rapidocr",
    extra="text",
    models=("text",),
    weights=lambda settings: (find_packaged("text", _entry().networks),),
    arguments=_arguments,
    load=_load,
    takes=lambda weights: Whole(),
    analyses=(AnalysisSpec("text", "The text in it, line by line, as /v1/text."),),
)
