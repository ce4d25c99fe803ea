"""Calls of a handle: what each failure means, which calls are retried, and how the policies differ."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata
from ray.exceptions import ObjectLostError, RayActorError
from ray.serve.exceptions import BackPressureError

from deployments.runtime.calls import CATALOGUE, INGRESS, INGRESS_ONCE, JOBS, CallPolicy, Failure, call, failure_of
from deployments.runtime.errors import ModelFailed, PromptTooLong
from testbed.replicas import raised_by_replica

FULL = BackPressureError(num_queued_requests=9, max_queued_requests=9)


class Outcome:
    """A call that raises, answers "yes", or, given `None`, never ends."""

    def __init__(self, outcome: Exception | str | None) -> None:
        self._outcome, self.cancelled = outcome, False

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(60 if self._outcome is None else 0).__await__()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return "yes"

    def cancel(self) -> None:
        self.cancelled = True


def asked(outcomes: Sequence[Exception | str | None]) -> tuple[list[Outcome], Callable[[], Outcome]]:
    """Records the calls and makes the next one."""
    made: list[Outcome] = []

    def ask() -> Outcome:
        made.append(Outcome(outcomes[len(made)]))
        return made[-1]

    return made, ask


async def no_pause(_seconds: float) -> None:
    """Replaces the pause between calls."""


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RayActorError(), Failure.ENDED),
        (ObjectLostError("ff" * 28, None, ""), Failure.ENDED),
        (AioRpcError(StatusCode.CANCELLED, Metadata(), Metadata()), Failure.ENDED),
        (AioRpcError(StatusCode.RESOURCE_EXHAUSTED, Metadata(), Metadata()), Failure.OTHER),
        (FULL, Failure.BUSY),
        (TimeoutError(), Failure.LATE),
        (ModelFailed("out of memory"), Failure.BROKEN),
        (raised_by_replica(ModelFailed("out of memory")), Failure.BROKEN),
        (raised_by_replica(PromptTooLong("word", 77)), Failure.REFUSED),
        (raised_by_replica(FULL), Failure.BUSY),
    ],
)
def test_what_a_failure_means(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


@pytest.mark.parametrize("policy", [INGRESS, CATALOGUE, JOBS])
async def test_a_call_of_a_dead_replica_is_retried(policy: CallPolicy) -> None:
    made, ask = asked([RayActorError(), RayActorError(), "yes"])
    assert await call("Clip", ask, policy, sleep=no_pause) == "yes"
    assert len(made) == 3


@pytest.mark.parametrize(
    ("policy", "error", "calls"),
    [
        (INGRESS, RayActorError(), 3),
        (INGRESS, FULL, 1),
        (INGRESS_ONCE, RayActorError(), 1),
        (CATALOGUE, RayActorError(), 3),
        (CATALOGUE, FULL, 1),
        (JOBS, FULL, 6),
        (JOBS, ModelFailed("out of memory"), 6),
        (JOBS, PromptTooLong("word", 77), 1),
    ],
)
async def test_the_last_error_is_raised_unchanged(policy: CallPolicy, error: Exception, calls: int) -> None:
    made, ask = asked([error] * 9)
    heard: list[None] = []
    with pytest.raises(type(error)) as raised:
        await call("Clip", ask, policy, retrying=lambda: heard.append(None), sleep=no_pause)
    assert raised.value is error
    assert (len(made), len(heard)) == (calls, calls - 1)


async def test_a_call_that_takes_too_long_is_cancelled() -> None:
    made, ask = asked([None] * 9)
    with pytest.raises(TimeoutError):
        await call("Clip", ask, replace(JOBS, timeout_s=0.01), sleep=no_pause)
    assert [one.cancelled for one in made] == [True] * JOBS.attempts


def test_pauses_grow_to_a_maximum_with_jitter() -> None:
    pauses = [JOBS.pause_after(attempt) for attempt in range(1, 10)]
    for pause, middle in zip(pauses, (0.5, 1, 2, 4, 8, 10, 10, 10, 10), strict=True):
        assert middle / 2 <= pause <= middle * 1.5
