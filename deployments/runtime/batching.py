"""How a replica gathers requests into batches.

`@serve.batch` starts a batch every few milliseconds even while an earlier one is still computed, so that a model that
computes off the event loop gets batches of one under load (measured: a mean of 1.0 instead of 12). Here the next batch
is taken only when the model is free: all items that have arrived by then form it, and a lone request does not wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from deployments.runtime.tracing import BatchTracer

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")


class Waiting(NamedTuple, Generic[Item, Result]):
    """An item that waits for its batch; `request` is the span of its request, None if that is not traced."""

    item: Item
    result: asyncio.Future[Result]
    request: "Span | None"


class Batcher(Generic[Item, Result]):
    """Runs `compute` on batches of up to `max_size` items, one batch after the other, in a thread.

    `compute` gets a list of items and returns as many results in the same order. If it raises on a batch of several
    items, each item is computed again alone, so that only a bad item fails. An item is not computed if its caller was
    cancelled before its batch started.

    Attributes:
        items, batches: how many have been started so far; items / batches is the mean batch size.
    """

    def __init__(
        self, compute: Callable[[list[Item]], Sequence[Result]], max_size: int, tracer: "BatchTracer | None" = None
    ) -> None:
        """`tracer` makes the spans of the batches; None if tracing is off."""
        self._compute, self._max_size, self._tracer = compute, max_size, tracer
        self.items = self.batches = 0
        self._waiting: deque[Waiting[Item, Result]] = deque()
        self._worker: asyncio.Task[None] | None = None
        # One thread, because a batch uses all cores of the model. Two batches in parallel, on half of the cores each,
        # gave no more images a second.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch")

    @property
    def waiting(self) -> int:
        """The number of items that wait for a batch."""
        return len(self._waiting)

    async def submit(self, items: Sequence[Item]) -> list[Result]:
        """Compute `items` and return their results in order.

        Raises whatever `compute` raised for an item.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = [loop.create_future() for _ in items]
        request = self._tracer.request() if self._tracer else None
        self._waiting.extend(Waiting(*pair, request) for pair in zip(items, futures, strict=True))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()

    async def run(self, function: Callable[[], Value]) -> Value:
        """Run a function in the thread of the model, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _work(self) -> None:
        while batch := self._take():
            self.items += len(batch)
            self.batches += 1
            with self._tracer.batch(one.request for one in batch) if self._tracer else nullcontext():
                outcomes = await self._outcomes([one.item for one in batch])
            for one, outcome in zip(batch, outcomes, strict=True):
                if one.result.done():
                    continue
                if isinstance(outcome, BaseException):
                    one.result.set_exception(outcome)
                else:
                    one.result.set_result(outcome)

    def _take(self) -> list[Waiting[Item, Result]]:
        batch: list[Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self._max_size:
            one = self._waiting.popleft()
            if not one.result.done():
                batch.append(one)
        return batch

    async def _outcomes(self, items: list[Item]) -> Sequence[Result | BaseException]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._compute, items)
        except Exception as error:  # whatever the model raises is passed on to the callers of this batch
            if len(items) == 1:
                return [error]
        return [(await self._outcomes([item]))[0] for item in items]
