"""The files of the images: each is stored once, however many images share it, and removed with the last of them.

Adding an image and removing a file both lock the file's row in `blobs`, so that one waits for the other and a file
that an image has is never removed. The store is asked for the file before the transaction that adds the image and again
after it, because the file may have been removed in between. It is not asked within the transaction, because a slow
store would then block all other writers of the database.
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
        """Store a file, unless it is there, and return its SHA-256 in hexadecimal.

        Raises:
            StoreFull, StoreUnavailable.
        """
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        await self._ensure(sha256, data)
        return sha256

    async def hold(self, session: AsyncSession, sha256: str, size_bytes: int) -> None:
        """Lock a file's row until the transaction ends, waiting for other transactions that lock it.

        The row is created if it does not exist; an existing one keeps its size.
        """
        insert = self._database.insert(BlobRow).values(sha256=sha256, size_bytes=size_bytes)
        unchanged = {"sha256": insert.excluded.sha256}
        await session.execute(insert.on_conflict_do_update(index_elements=["sha256"], set_=unchanged))

    async def restore(self, sha256: str, data: bytes) -> None:
        """Store a file again if it was removed after `keep` and before an image had it.

        Raises:
            StoreFull: it does not fit again.
            StoreUnavailable: it is not known whether the file is there.
        """
        if await self._ensure(sha256, data):
            await self.collect(sha256)  # the image may have been deleted since

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
            await self.hold(session, sha256, 0)
            if await session.scalar(select(exists().where(ImageRow.sha256 == sha256))):
                return
            for key in keys_of(sha256):
                await self._store.delete(key)
            await session.execute(delete(BlobRow).where(BlobRow.sha256 == sha256))

    async def _ensure(self, sha256: str, data: bytes) -> bool:
        """Store a file unless it is there, and return whether it had to be stored."""
        key = original_key(sha256)
        if await self._store.size(key) == len(data):
            return False
        await self._store.put(key, data)
        return True
