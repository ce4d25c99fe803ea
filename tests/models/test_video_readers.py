"""The process that reads a video: its limits, its rights and its end; and the replica that starts it."""

import asyncio
import contextlib
import os
import signal
import time
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

import deployments.video.deployment
from configs.project import PROJECT
from deployments.runtime.errors import ModelFailed, ReaderFailed, VideoBroken
from testbed.doubles.videos import coloured
from tests.models.videos import SIZE, frames, reader, times


def readers() -> set[int]:
    """The processes that this one has started and that still run."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return found


def files_in(folder: Path) -> list[str]:
    """Files of a folder that this process has open, even when they have no name."""
    links = Path("/proc/self/fd").iterdir()
    return [str(link.readlink()) for link in links if link.exists() and link.readlink().is_relative_to(folder)]


def environment(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


def restrictions(process: int) -> dict[str, str]:
    """Whether a process is kept from gaining privileges, and whether its system calls are filtered (2)."""
    lines = (line.partition(":") for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in lines if name in {"NoNewPrivs", "Seccomp"}}


async def none_left(before: set[int]) -> bool:
    for _ in range(50):
        if readers() <= before:
            return True
        await asyncio.sleep(0.1)
    return False


async def started(before: set[int]) -> int:
    """The process of the reader that starts now."""
    while not (new := readers() - before):
        await asyncio.sleep(0.001)
    return new.pop()


async def test_a_crash_before_the_first_frame_is_the_videos_fault_alone() -> None:
    video, before = reader(), readers()
    task = asyncio.create_task(anext(video.frames(coloured(1), 1, 1, SIZE)))
    os.kill(await started(before), signal.SIGSEGV)
    with pytest.raises(VideoBroken, match="SIGSEGV"):
        await task
    assert await anext(video.frames(coloured(1), 1, 1, SIZE))


@pytest.mark.parametrize("fault", ["raise ZeroDivisionError('of our own')", "raise SystemExit(3)", "import nowhere"])
async def test_a_reader_that_fails_by_itself_is_not_the_videos_fault(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "faulty.py").write_text(
        "from deployments.video import reader\n"
        "def messages(job):\n"
        f"    {fault}\n"
        "    yield\n"
        "reader._messages = messages\n"
        "reader.main()\n"
    )
    monkeypatch.setattr("deployments.sandbox.parent.PROJECT", f"{tmp_path}:{PROJECT}")
    monkeypatch.setattr(deployments.video.deployment, "READER", "faulty")
    with pytest.raises(ReaderFailed, match="its log says which"):
        await frames(coloured(1))
    with pytest.raises(ReaderFailed):
        await reader().frame_jpegs(coloured(1), [0.0], 100)
    cause = {"raise Z": "of our own", "raise S": "ended with 3", "import ": "No module named"}[fault[:7]]
    assert cause in caplog.text


async def test_what_was_read_before_a_crash_is_given() -> None:
    """The reader is killed while it waits for somebody to take its frames."""
    data, before = coloured(60), readers()
    batches = reader().frames(data, 0.1, 600, 224)
    async with aclosing(batches):
        first = await anext(batches)
        (process,) = readers() - before
        os.kill(process, signal.SIGSEGV)
        rest = [batch async for batch in batches]
    assert first.facts.complete
    assert not rest[-1].facts.complete
    assert times([first, *rest])[0] == 0
    assert len(times([first, *rest])) < 600


async def test_a_reader_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments.video.deployment, "STALLED_S", 0.01)
    before = readers()
    with pytest.raises(VideoBroken, match="gave nothing"):
        await frames(coloured(1))
    assert await none_left(before)


@pytest.mark.parametrize(("limit", "value"), [("MEMORY_BYTES", 1 << 28), ("CPU_S", 0)])
async def test_a_reader_has_limits(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(deployments.video.deployment, limit, value)
    with pytest.raises(VideoBroken):
        await frames(coloured(1, size=(3840, 2160)))


async def test_a_reader_gets_no_secrets_and_no_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "must-not-leave")
    before = readers()
    async with aclosing(reader().frames(coloured(60), 0.1, 600, 224)) as batches:
        await anext(batches)
        (process,) = readers() - before
        assert b"must-not-leave" not in environment(process)
        assert restrictions(process) == {"NoNewPrivs": "1", "Seccomp": "2"}


async def test_a_caller_that_stops_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    video, before = reader(), readers()
    async with aclosing(video.frames(coloured(60), 0.1, 600, 224)) as batches:
        await anext(batches)
        assert len(readers() - before) == 1
        assert len(files_in(tmp_path)) == 1
        await asyncio.sleep(1)  # until the reader has read so far ahead that it waits
    assert await none_left(before)
    assert not files_in(tmp_path)


async def test_a_caller_that_is_cancelled_leaves_nothing_behind() -> None:
    video, before = reader(), readers()
    task = asyncio.create_task(video.frame_jpegs(coloured(30, size=(1280, 720)), [0.0, 29.0], 100))
    await started(before)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await none_left(before)
    assert await video.frame_jpegs(coloured(1), [0.0], 100)  # its slot is free again


async def test_the_replica_says_how_it_is() -> None:
    video = reader()
    await video.check_health()
    (status,) = await video.status()
    assert (status.name, status.queue, status.items, status.batches) == ("video", 0, 1, 1)
    assert status.load_time_ms > 0


async def test_readers_that_are_only_slow_are_no_reason_to_replace_the_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.video.deployment.PROBE_TIMEOUT_S", 0.0)
    video = reader()
    await video.check_health()
    monkeypatch.undo()
    await video.check_health()
    assert (await video.status())[0].items == 1


async def test_a_replica_that_cannot_start_readers_fails_its_health_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    video = reader()
    with pytest.raises(ModelFailed):
        await video.check_health()
    with pytest.raises(ModelFailed):
        await video.frame_jpegs(coloured(1), [0.0], 100)


async def test_videos_wait_for_their_turn() -> None:
    video, before = reader(), readers()
    async with aclosing(video.frames(coloured(60), 0.1, 600, 224)) as batches:
        await anext(batches)
        second = asyncio.create_task(video.frame_jpegs(coloured(1), [0.0], 100))
        deadline = time.monotonic() + 5
        while not (await video.status())[0].queue and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert (await video.status())[0].queue == 1
        assert len(readers() - before) == 1
    assert await second


async def test_an_array_that_it_must_not_write_to_is_read_too() -> None:
    data = np.frombuffer(coloured(2), np.uint8)  # as the object store hands it over
    assert times(await frames(data)) == [0, 1]
