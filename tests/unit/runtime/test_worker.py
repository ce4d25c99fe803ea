"""A replica leaves when its model is broken, and only then; its health check answers quickly, whatever the model does."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.machine.patience import LEAST_SHARE, FairClock
from deployments.runtime import worker as at_work
from deployments.runtime.errors import ModelFailed
from deployments.runtime.worker import Worker


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_work, "PROBE_AFTER_S", -1.0)
    monkeypatch.setattr(at_work, "PROBE_WAIT_S", 0.05)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """The event that a pass of the model waits for."""
    event = threading.Event()
    yield event
    event.set()


class Device:
    """A model that doubles numbers. It fails on every `bad` one, and on everything once it is `broken`."""

    def __init__(self, bad: set[int] | None = None, breaks_after: int = 10**9) -> None:
        self.bad, self.left_to_do, self.passes = bad or set(), breaks_after, 0
        self.left: list[Exception] = []

    @property
    def broken(self) -> bool:
        return self.left_to_do <= 0

    def compute(self, items: list[int]) -> list[int]:
        self.passes += 1
        self.left_to_do -= 1
        if self.broken or self.bad & set(items):
            raise ModelFailed("CUDA error" if self.broken else "not finite")
        return [2 * item for item in items]

    def probe(self) -> None:
        if self.broken:
            raise ModelFailed("CUDA error")

    def worker(self, max_batch: int = 1) -> Worker[int, int]:
        return Worker(self.compute, self.probe, self.left.append, max_batch)


def worker(probe: Callable[[], object]) -> Worker[int, int]:
    def left(reason: Exception) -> None:
        pytest.fail(f"the replica left: {reason}")

    return Worker(lambda items: items, probe, left)


async def test_a_working_model_is_healthy() -> None:
    proofs = []
    await worker(lambda: proofs.append(1)).check_health()
    assert proofs == [1]


async def test_a_replica_leaves_at_the_first_pass_on_a_broken_device() -> None:
    device = Device(breaks_after=3)
    replica = device.worker()
    assert [await replica.submit([item]) for item in (1, 2)] == [[2], [4]]
    assert device.left == []
    with pytest.raises(ModelFailed, match="CUDA error"):
        await replica.submit([3])
    assert [str(reason) for reason in device.left] == ["CUDA error"]
    assert device.passes == 3


async def test_a_replica_whose_device_breaks_while_it_is_idle_leaves_at_its_health_check() -> None:
    device = Device(breaks_after=0)
    with pytest.raises(ModelFailed):
        await device.worker().check_health()
    assert device.left


@pytest.mark.parametrize("max_batch", [1, 8])
async def test_a_bad_item_fails_alone_and_its_replica_stays(max_batch: int) -> None:
    device = Device(bad={3})
    replica = device.worker(max_batch)
    outcomes = await asyncio.gather(*(replica.submit([item]) for item in range(6)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [list, list, list, ModelFailed, list, list]
    await replica.check_health()
    assert device.left == []


async def test_other_passes_of_a_broken_model_end_its_replica_too() -> None:
    device = Device(breaks_after=0)
    with pytest.raises(ModelFailed):
        await device.worker().run(device.probe)
    assert device.left


async def test_a_refused_input_is_no_failure_of_the_model() -> None:
    def refuse(_items: list[int]) -> list[int]:
        raise ValueError("an image has another shape")

    left: list[Exception] = []
    with pytest.raises(ValueError, match="another shape"):
        await Worker(refuse, pytest.fail, left.append).submit([1])
    assert left == []


async def test_a_slow_model_is_healthy_until_its_limit(held: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = worker(held.wait)
    await busy.check_health()
    monkeypatch.setattr(at_work, "PROBE_TIMEOUT_S", 0.0)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="has not finished anything"):
            await busy.check_health()
    held.set()
    await busy.run(lambda: None)
    await busy.check_health()


async def test_a_model_with_progress_is_healthy_while_the_probe_waits(
    held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = worker(held.wait)
    await busy.check_health()
    monkeypatch.setattr(at_work, "PROBE_TIMEOUT_S", 0.0)
    busy._last_success += 100
    await busy.check_health()
    busy._last_success -= 100
    with pytest.raises(TimeoutError):
        await busy.check_health()


class Machine:
    """What /proc says of a process's threads, and the time that passes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.now, self.waited = folder, 1000.0, {"1": 5.0, "2": 7.0}
        monkeypatch.setattr("deployments.machine.patience.monotonic", lambda: self.now)
        self.write()

    def write(self) -> None:
        for thread, waited in self.waited.items():
            (self.folder / thread).mkdir(exist_ok=True)
            (self.folder / thread / "schedstat").write_text(f"12345 {waited * 1e9:.0f} 17\n")

    def passes(self, seconds: float, **waited: float) -> None:
        self.now += seconds
        for thread, more in waited.items():
            self.waited[thread[1:]] = self.waited.get(thread[1:], 0.0) + more
        self.write()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_time_in_which_a_process_waits_for_a_core_does_not_count(machine: Machine) -> None:
    clock = FairClock(machine.folder)
    machine.passes(10)
    assert clock.seconds() == pytest.approx(10)  # blocked or asleep: it wanted no core
    machine.passes(10, t1=3, t2=1)
    assert clock.seconds() == pytest.approx(16)
    machine.passes(10, t3=4)  # a new thread
    assert clock.seconds() == pytest.approx(22)


def test_a_process_that_never_gets_a_core_is_found_in_the_end(machine: Machine) -> None:
    clock = FairClock(machine.folder)
    machine.passes(100, t1=100, t2=90)
    assert clock.seconds() == pytest.approx(100 * LEAST_SHARE)


def test_all_time_counts_where_the_kernel_does_not_say_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr("deployments.machine.patience.monotonic", lambda: now)
    clock = FairClock(tmp_path / "missing")
    now = 9.0
    assert clock.seconds() == 4.0


async def test_a_starved_model_is_busy_and_not_dead(
    held: threading.Event, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_work, "FairClock", lambda: FairClock(machine.folder))
    monkeypatch.setattr(at_work, "PROBE_WAIT_S", 0.0)
    busy = worker(held.wait)
    await busy.check_health()
    for _ in range(20):
        machine.passes(5, t1=4.5)
        await busy.check_health()
    machine.passes(30)
    with pytest.raises(TimeoutError):
        await busy.check_health()
