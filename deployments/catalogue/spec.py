"""The spec of the catalogue's worker, importable without its libraries."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from configs.settings import Settings, SettingsError
from deployments.catalogue.config import CatalogueConfig
from deployments.runtime.spec import Deployed, DeploymentSpec, ModelSpec
from deployments.runtime.weights import Weights

if TYPE_CHECKING:
    from deployments.models.clip.weights import ClipWeights

CATALOGUER = Weights("cataloguer", "processing of the catalogue's uploads", "panoptes/cataloguer", "builtin")


def catalogue_config(settings: Settings) -> CatalogueConfig:
    """The catalogue's configuration, from the settings."""
    own = settings.catalogue
    return CatalogueConfig(own.database, own.store, own.max_attempts)


def _arguments(settings: Settings, weights: tuple[Weights, ...], deployed: Mapping[str, Deployed]) -> tuple[Any, ...]:
    from deployments.catalogue.preparing import CatalogueInputs
    from deployments.catalogue.worker import Pace
    from deployments.specs import model_specs

    config = catalogue_config(settings)
    _check(config)
    inputs = {name: model_specs()[name].takes(one.models) for name, one in deployed.items()}
    clip = cast("ClipWeights", deployed["Clip"].models[0]) if "Clip" in deployed else None
    own = settings.catalogue
    return (
        config,
        {name: one.handle for name, one in deployed.items()},
        clip,
        CatalogueInputs(inputs, own.exif_gps, settings.limits.max_pixels),
        Pace(own.parallel, own.lease_s, own.poll_s),
    )


def _check(config: CatalogueConfig) -> None:
    """Raise SettingsError for an invalid database or store URL; a store that does not answer now may do so later."""
    from deployments.catalogue.errors import StoreUnavailable
    from deployments.catalogue.sql.database import database_url
    from deployments.catalogue.store.opening import open_store

    try:
        database_url(config.database_url)
        with suppress(StoreUnavailable):
            open_store(config.store_url)
    except ValueError as error:
        raise SettingsError(f"Cannot start: DATABASE_URL or STORE_URL: {error}") from None


SPEC = DeploymentSpec(
    name="Cataloguer",
    purpose="the workers of the catalogue",
    library="sqlalchemy",
    extra="catalogue",
    models=(),
    weights=lambda settings: (CATALOGUER,),
    package="deployments.catalogue",
    arguments=_arguments,
    asks=lambda spec: isinstance(spec, ModelSpec) and spec.catalogue,
)
