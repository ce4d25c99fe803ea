"""Opens a catalogue in one process. A process can start while the catalogue is unavailable: opening is then retried."""

import asyncio
import time
from dataclasses import dataclass

from deployments.catalogue.config import CatalogueConfig
from deployments.catalogue.errors import CatalogueUnavailable
from deployments.catalogue.images import Catalogue
from deployments.catalogue.queue import Queue, Retries
from deployments.catalogue.search.base import Search
from deployments.catalogue.search.pgvector import open_search
from deployments.catalogue.search.vectors import Embeddings
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.migrate import migrate
from deployments.catalogue.store.base import Store
from deployments.catalogue.store.opening import open_store

# For this long after a failed attempt, callers get an error at once instead of repeating it one after another.
REFUSED_S = 2.0


@dataclass(frozen=True)
class OpenCatalogue:
    """The parts of an open catalogue."""

    database: Database
    store: Store
    catalogue: Catalogue
    queue: Queue
    search: Search
    embeddings: Embeddings


class CatalogueOpener:
    """Opens the catalogue at its first use, and tries again after a failure."""

    def __init__(self, config: CatalogueConfig) -> None:
        self._config = config
        self._opened: OpenCatalogue | None = None
        self._turn = asyncio.Lock()
        self._refused_until = 0.0

    async def get(self) -> OpenCatalogue:
        """The open catalogue. Opening it migrates its tables.

        Raises:
            CatalogueUnavailable, StoreUnavailable: the database or the store does not answer.
        """
        if self._opened is not None:
            return self._opened
        async with self._turn:
            if self._opened is None:
                if time.monotonic() < self._refused_until:
                    raise CatalogueUnavailable("The catalogue does not answer: try again later.")
                try:
                    self._opened = await self._open()
                except Exception:
                    self._refused_until = time.monotonic() + REFUSED_S
                    raise
        return self._opened

    async def _open(self) -> OpenCatalogue:
        config = self._config
        try:
            await asyncio.to_thread(migrate, config.database_url)
        except OSError as error:
            raise CatalogueUnavailable(f"The database's folder cannot be used ({type(error).__name__}).") from error
        store = await asyncio.to_thread(open_store, config.store_url)
        database = Database(config.database_url)
        try:
            search = await open_search(database)
        except BaseException:
            await database.close()
            await store.close()
            raise
        queue = Queue(database, store, Retries(config.max_attempts))
        return OpenCatalogue(database, store, Catalogue(database, store), queue, search, Embeddings(database))

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.database.close()
            await self._opened.store.close()
            self._opened = None
