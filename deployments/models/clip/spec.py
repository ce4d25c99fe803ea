"""The spec of CLIP, importable without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from configs.prompts import served_texts
from configs.registry import read_entry
from configs.settings import Settings
from deployments.models.clip.settings import ClipEntry, ClipSettings
from deployments.models.clip.weights import ClipWeights, choose_clip
from deployments.pictures.inputs import Fitted
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.clip.model import ClipModel


def _entry() -> ClipEntry:
    return read_entry("clip", ClipEntry)


def _weights(settings: Settings) -> tuple[Weights, ...]:
    return (choose_clip(_entry(), settings.of(ClipSettings).model_name, settings.service.weights),)


def _takes(weights: tuple[Weights, ...]) -> Fitted:
    return Fitted(cast("ClipWeights", weights[0]).image.size)


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    own, entry = settings.of(ClipSettings), _entry()
    threads = entry.threads if own.threads is None else own.threads
    return (
        weights[0],
        entry.dtype,
        threads,
        own.max_batch,
        served_texts(own.prompt_set),
    )


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "ClipModel":
    from deployments.machine.devices import select
    from deployments.models.clip.model import ClipModel

    return ClipModel(cast("ClipWeights", weights[0]), select(_entry().dtype, 0, 0))


SPEC = ModelSpec(
    name="Clip",
    purpose="zero-shot classification, categories and embeddings by CLIP",
    library="open_clip",
    extra="clip",
    models=("clip",),
    weights=_weights,
    package="deployments.models.clip",
    arguments=_arguments,
    load=_load,
    takes=_takes,
    analyses=(
        AnalysisSpec("embedding", "CLIP embedding.", default=True, job_default=True),
        AnalysisSpec("classification", "Map, aerial photo or neither, as in /classify."),
    ),
    catalogue=True,
)
