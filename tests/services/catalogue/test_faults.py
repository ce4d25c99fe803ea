"""The catalogue when its database, its store or its own process fails."""

import asyncio
import errno
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import text

from deployments.catalogue.errors import CatalogueUnavailable, StoreFull, StoreUnavailable
from deployments.catalogue.queue import Retries
from deployments.catalogue.records import Result
from deployments.catalogue.store.base import original_key
from deployments.storage.folder import Folder
from testbed.doubles.postgres import PostgresServer
from tests.services.catalogue import worker
from tests.services.catalogue.opened import Backend, House, opened, sha256

KILLS = 3


async def test_postgresql_may_stop_and_start_again(postgres: PostgresServer, postgres_backend: Backend) -> None:
    async with opened(postgres_backend) as house:
        ids = [(await house.add(number)).id for number in range(3)]
        (lease,) = await house.queue.lease("w", 1, 60)
        postgres.stop()
        try:
            for work in (
                house.add(b"while it is away"),
                house.catalogue.list(),
                house.catalogue.stats(),
                house.catalogue.delete(ids[0]),
                house.queue.lease("w", 1, 60),
                house.queue.complete(lease, Result(0.1)),
            ):
                with pytest.raises(CatalogueUnavailable):
                    await work
        finally:
            postgres.start()
        await house.queue.complete(lease, Result(0.1))
        assert [image.id for image in (await house.catalogue.list()).images] == ids
        assert (await house.add(b"while it is away")).id > ids[-1]


async def test_a_locked_sqlite_is_away_until_it_is_free(sqlite_backend: Backend) -> None:
    path = sqlite_backend.database_url.removeprefix("sqlite:///")
    async with opened(sqlite_backend, busy_timeout_s=0.2) as house:
        image = await house.add(1)
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CatalogueUnavailable):
                await house.add(2)
            assert (await house.catalogue.get(image.id)).id == image.id  # reading goes on
            other.execute("ROLLBACK")
        finally:
            other.close()
        await house.add(2)
        assert (await house.catalogue.stats()).total == 2


async def test_a_full_sqlite_disk_is_a_full_store(sqlite_backend: Backend) -> None:
    async with opened(sqlite_backend, pool_size=1) as house:
        async with house.database.reading() as session:
            await session.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(StoreFull):
            await fill(house)
        async with house.database.reading() as session:
            await session.execute(text("PRAGMA max_page_count = 1000000"))
        before = (await house.catalogue.stats()).total
        await house.add(b"there is room again")
        assert (await house.catalogue.stats()).total == before + 1


async def fill(house: House) -> None:
    for number in range(500):
        await house.add(number, name="x" * 250)


async def test_a_wrong_statement_is_not_an_unavailable_database(folder_house: House) -> None:
    with pytest.raises(Exception, match="nonsense") as raised:
        async with folder_house.database.reading() as session:
            await session.execute(text("SELECT * FROM nonsense"))
    assert not isinstance(raised.value, CatalogueUnavailable)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreUnavailable)]
)
async def test_a_store_that_fails_leaves_no_row_and_nothing_half_written(
    folder_house: House, number: int, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, "cannot")

    with monkeypatch.context() as patched:
        patched.setattr("deployments.storage.files.os.fsync", fails)
        with pytest.raises(expected):
            await folder_house.add(b"does not fit")
    assert (await folder_house.catalogue.stats()).total == 0
    assert files_in(Path(folder_house.backend.store_url.removeprefix("file://"))) == []
    await folder_house.add(b"does not fit")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_an_s3_that_is_unavailable_or_refuses_leaves_no_row(s3_backend: Backend) -> None:
    refused = s3_backend.store_url.replace("pictures", "absent-bucket")
    away = dict(s3_backend.store_options) | {"endpoint_url": "http://127.0.0.1:9"}
    for backend in (
        Backend(s3_backend.database_url, refused, s3_backend.store_options),
        Backend(
            s3_backend.database_url, s3_backend.store_url, away | {"config_kwargs": {"retries": {"max_attempts": 0}}}
        ),
    ):
        async with opened(backend) as house:
            with pytest.raises(StoreUnavailable):
                await house.add()
            assert (await house.catalogue.stats()).total == 0


async def test_a_deletion_whose_store_is_away_is_finished_later(
    folder_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = folder_house
    image = await house.add()

    def fails(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "delete", fails)
        with pytest.raises(StoreUnavailable):
            await house.catalogue.delete(image.id)
    assert (await house.catalogue.list()).images == []
    assert await house.catalogue.tidy() == 1
    assert await house.store.size(original_key(image.sha256)) is None


async def test_killed_processes_lose_nothing_and_leave_nothing_stuck(folder_backend: Backend) -> None:
    confirmed = await asyncio.to_thread(run_and_kill, folder_backend)
    added = [int(number) for what, number in confirmed if what == "added"]
    completed = Counter(int(number) for what, number in confirmed if what == "completed")
    assert len(added) > 20 * KILLS
    assert completed
    assert set(completed.values()) == {1}
    async with opened(folder_backend, real_time=True, retries=Retries(max_attempts=KILLS + 1)) as house:
        found = await house.catalogue.find(added)
        assert [image.id for image in found] == added
        for content in {image.sha256 for image in found}:
            assert sha256(await house.store.get(original_key(content))) == content
        captions = {image.id: image.caption for image in found if image.status == "processed"}
        assert set(captions) >= set(completed) & set(added)
        async with asyncio.timeout(20):
            while (await house.queue.backlog()).total:
                for lease in await house.queue.lease("last", 100, 60):
                    await house.queue.complete(lease, Result(0.01, caption="last"))
                await asyncio.sleep(0.05)
        ended = await house.catalogue.find(added)
        assert {image.status for image in ended} == {"processed"}
        assert all(image.caption == captions.get(image.id, "last") for image in ended)  # nothing was processed twice
        assert (await house.catalogue.stats()).failed == 0


def run_and_kill(backend: Backend) -> list[list[str]]:
    """Run processes in parallel and kill them one after the other; return the uploads that were confirmed."""
    command = [sys.executable, "-m", worker.__name__, json.dumps(asdict(backend))]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(KILLS)]
    confirmed, chance = [], random.Random(3)
    for process in processes:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(30, 60))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        confirmed += [line.split() for line in lines if line.endswith("\n")]
        process.stdout.close()
        process.wait()
    return confirmed
