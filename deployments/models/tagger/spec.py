"""What the tagger is, read without its libraries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from deployments.models.tagger.settings import TaggerSettings
from deployments.pictures.inputs import Reduced
from deployments.runtime.pretrained_spec import choose, replica_arguments
from deployments.runtime.spec import AnalysisSpec, Deployed, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.tagger.model import TaggerModel
    from deployments.runtime.columns import Columns

TAGS = 5  # labels of a picture, unless a request says otherwise


def _deployment() -> Any:
    from deployments.models.tagger.deployment import Tagger

    return Tagger


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return (*replica_arguments(settings, TaggerSettings, weights),)


def _load(settings: Settings, weights: tuple[Weights, ...]) -> "TaggerModel":
    from deployments.models.tagger.model import TaggerModel
    from deployments.runtime.devices import select

    chosen, dtypes, *_ = replica_arguments(settings, TaggerSettings, weights)
    return TaggerModel(chosen, select(dtypes, 0, 0))


def _columns() -> "Mapping[str, Columns]":
    from deployments.models.tagger.columns import COLUMNS

    return COLUMNS


SPEC = ModelSpec(
    name="Tagger",
    purpose="labels by an image classifier",
    library="transformers",
    extra="transformers",
    models=("tagger",),
    weights=lambda settings: choose(settings, TaggerSettings),
    deployment=_deployment,
    arguments=_arguments,
    load=_load,
    # More pixels than the largest input of a known checkpoint: what is scaled down twice must not lose by it.
    takes=lambda weights: Reduced(576, crop=True),
    columns=_columns,
    analyses=(AnalysisSpec("tags", "The five most probable labels, as /v1/tags.", arguments=(TAGS,)),),
    catalogue=True,
)
