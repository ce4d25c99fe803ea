"""The spec of Blur, importable without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from configs.registry import read_entry
from configs.settings import Settings
from deployments.models.blur.settings import BlurEntry
from deployments.pictures.inputs import Whole
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.blur.model import BlurModel

BLUR = Weights("blur", "blur by the variance of the Laplacian", "opencv/laplacian-variance", "builtin")


def _entry() -> BlurEntry:
    return read_entry("blur", BlurEntry)


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return (_entry().threads,)


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "BlurModel":
    from deployments.models.blur.model import BlurModel

    return BlurModel(_entry().threads)


SPEC = ModelSpec(
    name="Blur",
    purpose="blur by the variance of the Laplacian",
    library="cv2",
    extra="opencv",
    models=("blur",),
    weights=lambda settings: (BLUR,),
    package="deployments.models.blur",
    arguments=_arguments,
    load=_load,
    takes=lambda weights: Whole(),
    analyses=(AnalysisSpec("blur", "Sharpness by the variance of the Laplacian.", default=True, job_default=True),),
)
