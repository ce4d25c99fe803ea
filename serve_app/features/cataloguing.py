"""The ingress's access to the catalogue, opened at its first use, with its errors translated into ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from configs.settings import Settings
from deployments.catalogue import errors as catalogue_errors
from deployments.catalogue.spec import catalogue_config
from serve_app.clients.catalogue import CataloguerClient
from serve_app.http import errors

if TYPE_CHECKING:
    from deployments.catalogue.opened import CatalogueOpener, OpenCatalogue

RETRY_AFTER_S = 5
NOT_FOUND = "Image not found"


class CatalogueDoor:
    """The catalogue of one ingress replica."""

    def __init__(self, settings: Settings, client: CataloguerClient) -> None:
        """Connect to nothing yet."""
        self._settings, self._client = settings, client
        self._opener: CatalogueOpener | None = None
        self._waking: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["OpenCatalogue"]:
        """The catalogue.

        Raises:
            ModelDisabled: it is switched off.
            Unavailable, OutOfSpace, ImageNotFound, InvalidRequest: an error of the catalogue, also in the `with` block.
            ContentMissing: the store has lost a file; it is logged and answered as an internal error.
        """
        self._client.announce()
        if self._opener is None:
            # Imported here, because its libraries are only needed with the catalogue.
            from deployments.catalogue.opened import CatalogueOpener

            self._opener = CatalogueOpener(catalogue_config(self._settings))
        try:
            yield await self._opener.get()
        except catalogue_errors.ContentMissing:
            raise
        except catalogue_errors.CatalogueError as error:
            raise _ours(error) from error

    def wake(self) -> None:
        """Tell a worker that there is an upload, without waiting for it."""
        task = asyncio.create_task(self._client.wake())
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def close(self) -> None:
        """Close every connection."""
        if self._opener is not None:
            await self._opener.close()


def _ours(error: catalogue_errors.CatalogueError) -> errors.PanoptesError:
    if isinstance(error, catalogue_errors.ImageNotFound):
        return errors.ImageNotFound(NOT_FOUND)
    if isinstance(error, catalogue_errors.StoreFull):
        return errors.OutOfSpace(str(error))
    if isinstance(error, catalogue_errors.CatalogueUnavailable | catalogue_errors.StoreUnavailable):
        return errors.Unavailable(str(error), retry_after_s=RETRY_AFTER_S)
    return errors.InvalidRequest(str(error))
