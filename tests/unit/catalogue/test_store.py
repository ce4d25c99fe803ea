"""Stores that need no server: a folder and memory."""

import asyncio
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployments.catalogue.errors import ContentMissing, StoreUnavailable
from deployments.catalogue.store.base import CHUNK_BYTES, Store
from deployments.catalogue.store.opening import open_store
from deployments.storage.files import ABANDONED_AFTER_S


@pytest.fixture(params=["folder", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = str(tmp_path / "not" / "there") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    found = open_store(url)
    yield found
    await found.close()


async def test_files_are_kept_read_and_removed(store: Store) -> None:
    data = os.urandom(2 * CHUNK_BYTES + 17)
    assert await store.size("a/b/c") is None
    await store.put("a/b/c", b"before")
    await store.put("a/b/c", data)
    assert (await store.size("a/b/c"), await store.get("a/b/c")) == (len(data), data)
    parts = [part async for part in store.stream("a/b/c")]
    assert (b"".join(parts), [len(part) for part in parts]) == (data, [CHUNK_BYTES, CHUNK_BYTES, 17])
    ranged = b"".join([part async for part in store.stream("a/b/c", 5, CHUNK_BYTES + 9)])
    assert ranged == data[5 : CHUNK_BYTES + 9]
    await store.delete("a/b/c")
    await store.delete("a/b/c")
    await store.delete("never/there")
    with pytest.raises(ContentMissing):
        await store.get("a/b/c")
    with pytest.raises(ContentMissing):
        await anext(store.stream("a/b/c"))


async def test_writers_of_one_key_never_show_half_a_file(store: Store) -> None:
    versions = [bytes([number]) * 300_000 for number in range(6)]
    await store.put("k", versions[0])

    async def read() -> None:
        for _ in range(20):
            assert await store.get("k") in versions

    await asyncio.gather(read(), *(store.put("k", version) for version in versions))


async def test_the_event_loop_goes_on_and_a_slow_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"file://{tmp_path}", timeout_s=0.2)
    given_up = threading.Event()
    monkeypatch.setattr(store, "_read", lambda _key: given_up.wait(30))
    with pytest.raises(StoreUnavailable):
        await store.get("k")
    given_up.set()
    await store.close()


async def test_what_killed_processes_left_half_written_is_removed(tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    old, new = unfinished / "old", unfinished / "new"
    old.write_bytes(b"half")
    new.write_bytes(b"another process's")
    os.utime(old, (0, time.time() - ABANDONED_AFTER_S - 1))
    store = open_store(str(tmp_path))
    await store.put("k", b"data")
    assert (old.exists(), new.exists()) == (False, True)
    await store.close()


@pytest.mark.parametrize("url", ["nowhere://bucket", "s4://bucket"])
def test_a_store_without_a_library_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a store"):
        open_store(url)


def test_a_store_that_connects_at_once_and_is_away_says_so() -> None:
    with pytest.raises(StoreUnavailable):
        open_store("ftp://127.0.0.1:1/pictures")
