"""Stores files by key, in a local folder or at any URL of fsspec, without blocking the event loop."""

import asyncio
import errno
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

from deployments.catalogue.errors import CatalogueError, ContentMissing, StoreFull, StoreUnavailable
from deployments.storage.folder import Folder

ThumbnailSize = Literal["small", "medium"]
THUMBNAIL_SIZES: Final[tuple[ThumbnailSize, ...]] = ("small", "medium")

THREADS: Final = 8
TIMEOUT_S: Final = 60.0
CHUNK_BYTES: Final = 1 << 20
UNFINISHED: Final = "unfinished"  # the folder of files that are being written
INSUFFICIENT_STORAGE: Final = 507
MISSING: Final = "The store does not have this file."
UNANSWERED: Final = "The store of files does not answer: try again later."

Value = TypeVar("Value")


def original_key(sha256: str) -> str:
    """The key of the uploaded file with this hash."""
    return f"originals/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def thumbnail_key(sha256: str, size: ThumbnailSize) -> str:
    """The key of a thumbnail of that file. Files share folders, so that no folder has to be removed with a file."""
    return f"thumbnails/{sha256[:2]}/{sha256[2:4]}/{sha256}-{size}.jpg"


def jpeg_key(sha256: str) -> str:
    """The key of the JPEG that is shown where that file cannot be."""
    return f"jpegs/{sha256[:2]}/{sha256[2:4]}/{sha256}.jpg"


def keys_of(sha256: str) -> tuple[str, ...]:
    """All keys that belong to an uploaded file, its own first."""
    return (original_key(sha256), jpeg_key(sha256), *(thumbnail_key(sha256, size) for size in THUMBNAIL_SIZES))


class Store:
    """Stores files. A file appears under its key complete or not at all, and is durable once `put` returns.

    All operations may raise StoreUnavailable.
    """

    def __init__(self, folder: Folder, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s`: how long an operation may take, except a removal."""
        self._folder, self._timeout_s = folder, timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._tidied = False

    async def put(self, key: str, data: bytes) -> None:
        """Store `data`, replacing an existing file.

        Raises:
            StoreFull: there is no room.
        """
        await self._run(partial(self._put, key, data), self._timeout_s)

    async def get(self, key: str) -> bytes:
        """The whole file.

        Raises:
            ContentMissing: there is no such file.
        """
        return await self._run(partial(self._read, key), self._timeout_s)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a file from `start` to `end`, exclusive, at most 1 MiB at a time.

        `end` is at most the size of the file. Without it, the store is asked for the size.

        Raises:
            ContentMissing: there is no such file.
        """
        if end is None and (end := await self.size(key)) is None:
            raise ContentMissing(MISSING)
        for at in range(start, end, CHUNK_BYTES):
            yield await self._run(partial(self._read, key, at, min(at + CHUNK_BYTES, end)), self._timeout_s)

    async def size(self, key: str) -> int | None:
        """The size of a file in bytes; None if it does not exist."""
        return await self._run(partial(self._folder.size, key), self._timeout_s)

    async def delete(self, key: str) -> None:
        """Remove a file, if it exists.

        There is no timeout: a removal that is given up here would still happen later, when the file may have been added
        again.
        """
        await self._run(partial(self._folder.delete, key), None)

    def path(self, key: str) -> Path | None:
        """The path of a file on this machine; None if the store is remote."""
        return Path(self._folder.place(key)) if self._folder.local else None

    async def close(self) -> None:
        """Shut down the store's threads."""
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], Value], timeout_s: float | None) -> Value:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except CatalogueError:
            raise
        except Exception as error:  # whatever the library of a store raises, it means that the store does not work
            if _is_full(error):
                raise StoreFull("The store has no room: free some space and try again.") from error
            raise StoreUnavailable(UNANSWERED) from error

    def _put(self, key: str, data: bytes) -> None:
        if not self._tidied:
            self._tidied = True
            self._folder.remove_abandoned(f"{UNFINISHED}/*")
        self._folder.write(key, f"{UNFINISHED}/{uuid.uuid4().hex}", data)

    def _read(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        try:
            return self._folder.read(key, start, end)
        except FileNotFoundError as error:
            raise ContentMissing(MISSING) from error


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, says that there is no room."""
    while error is not None:
        answer = getattr(error, "response", None)
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(answer, dict) else None
        if status == INSUFFICIENT_STORAGE or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
            return True
        error = error.__cause__
    return False
