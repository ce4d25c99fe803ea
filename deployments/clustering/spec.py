"""What the clustering is."""

from collections.abc import Mapping
from typing import Any

from configs.settings import Settings
from deployments.runtime.spec import Deployed, DeploymentSpec
from deployments.runtime.weights import Weights

CLUSTERER = Weights("clusterer", "density-based clustering of embeddings", "panoptes/exact-dbscan-cosine", "builtin")


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    return (
        settings.clustering.max_embeddings,
        settings.clustering.threads,
    )


SPEC = DeploymentSpec(
    name="Clusterer",
    purpose="DBSCAN of embeddings by cosine distance",
    library="numpy",
    extra="",
    models=("clusterer",),
    weights=lambda settings: (CLUSTERER,),
    package="deployments.clustering",
    arguments=_arguments,
)
