"""The health check of a model's replica answers quickly, whatever the model does."""

import threading
from collections.abc import Callable, Iterator

import pytest

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


def worker(probe: Callable[[], object]) -> Worker[int, int]:
    return Worker(lambda items: items, probe)


async def test_a_working_model_is_healthy() -> None:
    proofs = []
    await worker(lambda: proofs.append(1)).check_health()
    assert proofs == [1]


async def test_a_failing_model_is_unhealthy() -> None:
    def broken() -> None:
        raise ModelFailed("CUDA error")

    failing = worker(broken)
    for _ in range(3):
        with pytest.raises(ModelFailed):
            await failing.check_health()


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
    monkeypatch.setattr(at_work, "PROBE_TIMEOUT_S", 1.0)
    busy._asked -= 100
    busy._last_success -= 100
    with pytest.raises(TimeoutError):
        await busy.check_health()
    busy._last_success += 100
    await busy.check_health()
