"""A run that is killed at any point and restarted gives the same records as an uninterrupted run."""

import asyncio
import json
import multiprocessing
import random
import signal
from collections.abc import Mapping
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from jobs.runtime.output import Output
from testbed.doubles.koop import KoopServer
from testbed.doubles.koop_worker import ingest, rows, work
from tests.services.koop.days import DAYS, DECISIONS, NEXT, SEED, everything

KILLS = 20
LATER = ("anyio._backends._asyncio", "httpcore", "pandas", "trio")  # what httpx and pyarrow import when they are used


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """New processes that have imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["testbed.doubles.koop_worker", *LATER])
    return context


async def test_killed_twenty_times_it_ends_with_the_same_records(
    small_koop: KoopServer, tmp_path: Path, processes: ForkServerContext
) -> None:
    """Kills at moments spread over the run, each followed by a restart; a finished run starts again in a new folder."""
    unharmed = Output(str(tmp_path / "unharmed"))
    await ingest(unharmed, small_koop.address, DAYS)
    requests, small_koop.faults.latency_s = len(small_koop.requests), 0.02
    rng = random.Random(SEED)
    kills = lives_with_parts = 0
    for number in count():
        output = Output(str(tmp_path / str(number)))
        while True:
            asked = len(small_koop.requests)
            process = processes.Process(target=work, args=(output.url, small_koop.address, DAYS))
            process.start()
            longest = rng.randint(1, requests) if kills < KILLS else 1_000_000  # requests of this process
            while process.is_alive() and len(small_koop.requests) - asked < longest:
                await asyncio.sleep(0.002)
            await asyncio.sleep(rng.random() * 0.05)
            process.kill()
            process.join()
            if process.exitcode != -signal.SIGKILL:
                break
            kills += 1
            lives_with_parts += any(path.startswith("_parts/") for path in output.list())
        assert process.exitcode == 0
        assert everything(output) == everything(unharmed)
        for day in DAYS:
            identifiers = [row["identifier"] for row in rows(output, "publications", day)]
            assert len(identifiers) == len(set(identifiers)) == DECISIONS[day]
            assert json.loads(output.read_bytes(f"manifests/date={day}.json") or b"")["complete"]
        if kills >= KILLS:
            break
    assert lives_with_parts >= KILLS / 4


class Dies(Output):
    """Fails from the given change on, counted from the start of finishing a day; `changes` is how many there were."""

    def __init__(self, url: str, after: int) -> None:
        super().__init__(url)
        self._after, self._finishing = after, False
        self.changes = 0

    def write_bytes(self, path: str, data: bytes | memoryview) -> int:
        self._change()
        return super().write_bytes(path, data)

    def move(self, targets: Mapping[str, str]) -> None:
        for path, target in targets.items():
            self._change()
            super().move({path: target})

    def delete(self, path: str) -> None:
        self._finishing = self._finishing or path.startswith("manifests/")
        self._change()
        super().delete(path)

    def _change(self) -> None:
        self.changes += self._finishing
        if self.changes > self._after:
            raise RuntimeError("killed")


async def test_interrupted_at_any_change_of_the_finish(small_koop: KoopServer, tmp_path: Path) -> None:
    unharmed = Output(str(tmp_path / "unharmed"))
    await ingest(unharmed, small_koop.address, [NEXT])
    interrupted = 0
    for after in range(0, 1_000, 3):
        output = Output(str(tmp_path / str(after)))
        _, run = await ingest(Dies(output.url, after), small_koop.address, [NEXT])
        if not run.failed:
            break
        interrupted += 1
        _, run = await ingest(output, small_koop.address, [NEXT])
        assert run.ok
        assert everything(output) == everything(unharmed), after
    assert interrupted > 4


async def test_parts_of_a_complete_day_are_removed(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, [NEXT])
    before = everything(output)
    output.write_bytes(f"_parts/{NEXT}.0123456789abcdef.left.publications.parquet", b"half")
    await ingest(output, small_koop.address, [NEXT])
    assert everything(output) == before
