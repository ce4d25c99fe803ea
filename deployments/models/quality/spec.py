"""The spec of Quality, importable without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from configs.registry import read_entry
from configs.settings import Settings
from deployments.models.quality.settings import QualityEntry, QualitySettings
from deployments.pictures.inputs import Whole
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import FileWeights, Weights, choose_file, torch_home

if TYPE_CHECKING:
    from deployments.models.quality.model import QualityModel

# BRISQUE, the technical and the aesthetic NIMA, in the order of the model's weights.
MEASURES = ("pyiqa_brisque", "pyiqa_nima_technical", "pyiqa_nima_aesthetic")


def _entry() -> QualityEntry:
    return read_entry("quality", QualityEntry)


def _weights(settings: Settings) -> tuple[Weights, ...]:
    entry, cache, service = _entry(), torch_home() / "hub" / "pyiqa", settings.service
    files = (entry.brisque, entry.nima_technical, entry.nima_aesthetic)
    return tuple(
        choose_file(name, file, cache, service.weights, service.verify_weights)
        for name, file in zip(MEASURES, files, strict=True)
    )


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    own, entry = settings.of(QualitySettings), _entry()
    threads = entry.threads if own.threads is None else own.threads
    return (
        weights,
        entry.dtype,
        threads,
        own.max_pixels,
    )


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "QualityModel":
    from deployments.machine.devices import select
    from deployments.models.quality.model import QualityModel

    brisque, technical, aesthetic = (cast("FileWeights", one) for one in weights)
    device = select(_entry().dtype, 0, 0)
    return QualityModel(brisque, technical, aesthetic, device, settings.of(QualitySettings).max_pixels)


SPEC = ModelSpec(
    name="Quality",
    purpose="technical quality and aesthetics by BRISQUE and two NIMA networks",
    library="pyiqa",
    extra="quality",
    models=MEASURES,
    weights=_weights,
    package="deployments.models.quality",
    arguments=_arguments,
    load=_load,
    takes=lambda weights: Whole(),
    analyses=(
        AnalysisSpec(
            "quality",
            "Technical quality and aesthetics: BRISQUE and two NIMA networks.",
            default=True,
            job_default=True,
        ),
    ),
)
