"""Runs a model in its replica: gathers requests into batches and checks the model's health."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from configs import tracing
from deployments.runtime.batching import Batcher
from deployments.runtime.errors import ModelFailed

if TYPE_CHECKING:
    from deployments.runtime.tracing import BatchTracer

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

# A model that has not finished a batch for this long is probed by the next health check.
PROBE_AFTER_S = 30.0
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
    """Runs the batches of one model in its replica."""

    def __init__(
        self, compute: Callable[[list[Item]], Sequence[Result]], probe: Callable[[], object], max_batch: int = 1
    ) -> None:
        """`compute` gets up to `max_batch` items and gives their results in order; `probe` raises on a broken model."""
        self._probe = probe
        self._batcher: Batcher[Item, Result] = Batcher(
            lambda items: self._watched(partial(compute, items)), max_batch, _batch_tracer()
        )
        self._last_success = self._asked = time.monotonic()
        self._proof: asyncio.Task[object] | None = None

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """The results of `items` in order; raises what `compute` raised for the first that failed."""
        return await self._batcher.submit(items)

    async def run(self, function: Callable[[], Value]) -> Value:
        """Run another pass of the model in its thread, between two batches."""
        return await self._batcher.run(partial(self._watched, function))

    def status(self, name: str, device: str, load_time_s: float) -> ModelStatus:
        """The status of this replica; available while the model computes."""
        batcher = self._batcher
        return ModelStatus(name, device, load_time_s * 1000, batcher.waiting, batcher.items, batcher.batches)

    async def check_health(self) -> None:
        """Raises when the model or its device fails, so that Serve replaces the replica; takes 5 s at most."""
        if self._proof is None:
            if time.monotonic() - self._last_success <= PROBE_AFTER_S:
                return
            self._proof, self._asked = asyncio.create_task(self.run(self._probe)), time.monotonic()
        proof = self._proof
        if (await asyncio.wait({proof}, timeout=PROBE_WAIT_S))[0]:
            self._proof = None
            proof.result()
        # Otherwise the model may only be busy: a batch that succeeds counts as a probe.
        elif time.monotonic() - max(self._asked, self._last_success) > PROBE_TIMEOUT_S:
            raise TimeoutError(f"The model has not finished anything for {PROBE_TIMEOUT_S:g} s.")

    def _watched(self, compute: Callable[[], Value]) -> Value:
        """Run a pass and remember whether it succeeded: after a failure the next health check probes the model."""
        try:
            value = compute()
        except ModelFailed:
            self._last_success = -math.inf
            raise
        self._last_success = time.monotonic()
        return value


def _batch_tracer() -> "BatchTracer | None":
    if not tracing.is_on():
        return None
    from deployments.runtime.tracing import BatchTracer

    return BatchTracer()
