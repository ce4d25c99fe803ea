"""The catalogue on each database and store of the tests."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from deployments.catalogue.clock import utc_now
from deployments.catalogue.images import Catalogue
from deployments.catalogue.queue import Queue, Retries
from deployments.catalogue.records import Facts, Image
from deployments.catalogue.search.vectors import Embeddings
from deployments.catalogue.sql.database import Database
from deployments.catalogue.store.base import Store
from deployments.catalogue.store.opening import open_store

FACTS = Facts("PNG", 8, 6)


@dataclass(frozen=True)
class Backend:
    """The database and store of a catalogue."""

    database_url: str
    store_url: str
    store_options: Mapping[str, Any] = field(default_factory=dict)


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class House:
    """A catalogue with its parts, as one process opens it."""

    backend: Backend
    database: Database
    store: Store
    catalogue: Catalogue
    queue: Queue
    embeddings: Embeddings
    clock: SetClock

    async def add(self, content: bytes | int = b"a picture", name: str = "a.png") -> Image:
        return await self.catalogue.add(name, content if isinstance(content, bytes) else b"%d" % content, FACTS)

    async def add_rows(self, count: int, **columns: Any) -> None:
        """Many images that share one file, without a transaction each."""
        first = await self.add()
        copied = (
            "INSERT INTO images (filename, status, sha256, size_bytes, format, width, height, exif, created_at, "
            "processed_at, processing_time_s, caption, tags, error, attempts, due_at, leased_by) "
            "SELECT filename, status, sha256, size_bytes, format, width, height, exif, created_at, processed_at, "
            "processing_time_s, caption, tags, error, attempts, due_at, leased_by FROM images "
        )
        async with self.database.writing() as session:
            for name, value in columns.items():
                statement = text(f"UPDATE images SET {name} = :value WHERE id = :id")  # noqa: S608
                await session.execute(statement, {"value": value, "id": first.id})
            have = 1
            while have < count:
                await session.execute(
                    text(copied + "WHERE id >= :id LIMIT :more"), {"id": first.id, "more": min(have, count - have)}
                )
                have += min(have, count - have)


@asynccontextmanager
async def opened(
    backend: Backend, *, real_time: bool = False, retries: Retries | None = None, **options: Any
) -> AsyncIterator[House]:
    database = Database(backend.database_url, **options)
    store = open_store(backend.store_url, backend.store_options)
    clock = SetClock()
    now = utc_now if real_time else clock
    try:
        yield House(
            backend,
            database,
            store,
            Catalogue(database, store, now),
            Queue(database, store, retries, now),
            Embeddings(database),
            clock,
        )
    finally:
        await database.close()
        await store.close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
