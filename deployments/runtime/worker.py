"""Runs a model in its replica: gathers requests into batches and checks the model's health."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from configs import tracing
from deployments.machine.patience import FairClock
from deployments.runtime.batching import Batcher
from deployments.runtime.errors import ModelFailed

if TYPE_CHECKING:
    from deployments.runtime.tracing import BatchTracer

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

# A model that has not finished a batch for this long is probed by the next health check.
PROBE_AFTER_S = 30.0
# A model that has finished nothing for so long hangs. Only time in which the process had its cores counts (FairClock).
PROBE_TIMEOUT_S = 25.0
# One health check waits this long at most, so that Serve soon notices a process that hangs.
PROBE_WAIT_S = 5.0


@dataclass(frozen=True)
class ModelStatus:
    """The status of a model in a replica. `queue`: items that wait for a batch; `items` were computed in `batches`.

    `error` says why a replica that runs cannot do its work.
    """

    name: str
    device: str
    load_time_ms: float
    queue: int
    items: int
    batches: int
    error: str | None = None


class Worker(Generic[Item, Result]):
    """Runs the batches of one model in its replica.

    A pass that fails with ModelFailed is either a bad input's fault or the model's. The model's own test pass decides:
    when that fails too, the model or its device is broken, and the replica leaves at once.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Sequence[Result]],
        probe: Callable[[], object],
        leave: Callable[[Exception], object],
        max_batch: int = 1,
    ) -> None:
        """Compute nothing yet.

        Args:
            compute: gets up to `max_batch` items and gives their results in order.
            probe: the model's test pass; raises on a broken model.
            leave: ends this replica for the reason given, so that callers ask another; called in the model's thread.
            max_batch: most items of one pass.
        """
        self._compute, self._probe, self._leave = compute, probe, leave
        self._batcher: Batcher[Item, Result] = Batcher(self._batch, max_batch, _batch_tracer())
        self._last_success = time.monotonic()
        self._proof: asyncio.Task[object] | None = None
        self._clock, self._clock_since = FairClock(), self._last_success

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of `items` in order; raises what `compute` raised for the first that failed."""
        return await self._batcher.submit(items)

    async def run(self, function: Callable[[], Value]) -> Value:
        """Run another pass of the model in its thread, between two batches."""
        return await self._batcher.run(partial(self._judged, function))

    def status(self, name: str, device: str, load_time_s: float) -> ModelStatus:
        """The status of this replica; available while the model computes."""
        batcher = self._batcher
        return ModelStatus(name, device, load_time_s * 1000, batcher.waiting, batcher.items, batcher.batches)

    async def check_health(self) -> None:
        """Raises when the model hangs, so that Serve replaces the replica; takes 5 s at most. A broken model leaves."""
        if self._proof is None:
            if time.monotonic() - self._last_success <= PROBE_AFTER_S:
                return
            self._proof = asyncio.create_task(self.run(self._probe))
            self._restart_clock()
        proof = self._proof
        if (await asyncio.wait({proof}, timeout=PROBE_WAIT_S))[0]:
            self._proof = None
            proof.result()
        elif self._last_success > self._clock_since:  # the model is only busy: a batch that succeeds counts as a probe
            self._restart_clock()
        elif self._clock.seconds() > PROBE_TIMEOUT_S:
            raise TimeoutError(f"The model has not finished anything for {PROBE_TIMEOUT_S:g} s of its own time.")

    def _restart_clock(self) -> None:
        self._clock, self._clock_since = FairClock(), time.monotonic()

    def _batch(self, items: list[Item]) -> Sequence[Result]:
        if len(items) == 1:
            return self._judged(partial(self._compute, items))
        return self._watched(partial(self._compute, items))  # if it fails, the batcher computes each item alone

    def _watched(self, compute: Callable[[], Value]) -> Value:
        value = compute()
        self._last_success = time.monotonic()
        return value

    def _judged(self, compute: Callable[[], Value]) -> Value:
        """Run a pass; leave when it fails and the model's test pass fails too."""
        try:
            return self._watched(compute)
        except ModelFailed:
            try:
                self._watched(self._probe)
            except Exception as broken:  # the test pass of a model that works raises nothing
                self._leave(broken)
            raise


def _batch_tracer() -> "BatchTracer | None":
    if not tracing.is_on():
        return None
    from deployments.runtime.tracing import BatchTracer

    return BatchTracer()
