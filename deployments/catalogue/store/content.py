"""The files of the images, each once however many images share it, and gone with the last of them.

Whoever adds an image and whoever removes a file hold the file's row in `blobs` meanwhile, so the one waits for the
other: a file is never removed from under an image that is being added.
"""

import asyncio
import hashlib
from collections.abc import Sequence

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.tables import BlobRow, ImageRow
from deployments.catalogue.store.base import Store, keys_of, original_key


class Content:
    """Adds files to the store and removes them, and keeps the database's account of them."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database, self._store = database, store
        self._removals: set[asyncio.Task[None]] = set()

    async def keep(self, data: bytes) -> str:
        """Bring a file into the store, unless it is there; its SHA-256 in hexadecimal.

        Raises:
            StoreFull, StoreUnavailable.
        """
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        await self._ensure(sha256, data)
        return sha256

    async def hold(self, session: AsyncSession, sha256: str, data: bytes) -> None:
        """Until the transaction ends, keep a file that `keep` brought from being removed.

        Raises:
            StoreFull, StoreUnavailable: it had just been removed and does not fit again.
        """
        await self._lock(session, sha256, len(data))
        await self._ensure(sha256, data)

    async def collect(self, sha256: str) -> None:
        """Remove a file and its thumbnails if no image has it.

        Cancelling the caller does not stop the removal: the file's row stays locked until the store has finished.
        """
        removal = asyncio.create_task(self._remove_unused(sha256))
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)
        await asyncio.shield(removal)

    async def abandoned(self) -> Sequence[str]:
        """The hashes of files without an image, left by interrupted deletions."""
        async with self._database.reading() as session:
            unused = select(BlobRow.sha256).where(~exists().where(ImageRow.sha256 == BlobRow.sha256))
            return (await session.scalars(unused)).all()

    async def _remove_unused(self, sha256: str) -> None:
        async with self._database.writing() as session:
            await self._lock(session, sha256, 0)
            if await session.scalar(select(exists().where(ImageRow.sha256 == sha256))):
                return
            for key in keys_of(sha256):
                await self._store.delete(key)
            await session.execute(delete(BlobRow).where(BlobRow.sha256 == sha256))

    async def _ensure(self, sha256: str, data: bytes) -> None:
        key = original_key(sha256)
        if await self._store.size(key) != len(data):
            await self._store.put(key, data)

    async def _lock(self, session: AsyncSession, sha256: str, size_bytes: int) -> None:
        """Hold a file's row, which is created where it is not; one that is there keeps its size."""
        insert = self._database.insert(BlobRow).values(sha256=sha256, size_bytes=size_bytes)
        unchanged = {"sha256": insert.excluded.sha256}
        await session.execute(insert.on_conflict_do_update(index_elements=["sha256"], set_=unchanged))
