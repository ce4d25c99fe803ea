"""Classifies the pictures of a day in batches: those that arrive while one batch is computed form the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from deployments.models.clip.answers import Classified, Floats
from deployments.models.clip.map_rule import Decision
from deployments.pictures.pixels import Pixels

# (n, size, size, 3) -> the decisions and the embeddings of n pictures
Classify = Callable[[Pixels], Awaitable[Classified]]


@dataclass(frozen=True)
class ClassifiedPicture:
    """The decision on a picture, and its embedding (d,)."""

    decision: Decision
    embedding: Floats


class Classifier:
    """Classifies waiting pictures with one call of `ask` for up to `max_batch` of them, one call at a time."""

    def __init__(self, ask: Classify, max_batch: int) -> None:
        self._classify, self._max_batch = ask, max_batch
        self._waiting: deque[tuple[Pixels, asyncio.Future[ClassifiedPicture]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def classify(self, pixels: Pixels) -> ClassifiedPicture:
        """Classify one picture, (size, size, 3). Raises what `ask` raises for its batch."""
        future: asyncio.Future[ClassifiedPicture] = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, future))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await future

    async def _ask(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            batch = [(pixels, future) for pixels, future in taken if not future.done()]
            if not batch:
                continue
            try:
                found = await self._classify(np.stack([pixels for pixels, _ in batch]))
                assert found.vectors is not None  # noqa: S101 - they were asked for
                outcomes = [
                    ClassifiedPicture(decision, vector)
                    for decision, vector in zip(found.decisions, found.vectors, strict=True)
                ]
            except Exception as error:  # whatever it is, it is passed on to all who wait for the batch
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
