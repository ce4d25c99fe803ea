"""Classifies the pictures of a day in batches: those that arrive while one batch is computed form the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.models.clip.map_rule import Decision, decide
from deployments.models.clip.zero_shot import softmax
from deployments.pictures.pixels import Pixels

Floats = NDArray[np.float32]

# (n, size, size, 3) -> embeddings (n, d), logits of the three categories (n, 3)
Score = Callable[[Pixels], Awaitable[tuple[Floats, Floats]]]


@dataclass(frozen=True)
class Classified:
    """The decision on a picture, and its embedding (d,)."""

    decision: Decision
    embedding: Floats


class Classifier:
    """Gathers the pictures that wait, up to `max_batch`, into one call of `score`; one call at a time."""

    def __init__(self, score: Score, max_batch: int) -> None:
        self._score, self._max_batch = score, max_batch
        self._waiting: deque[tuple[Pixels, asyncio.Future[Classified]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    async def classify(self, pixels: Pixels) -> Classified:
        """Ask about one picture, (size, size, 3); raises what `score` raises for its batch."""
        future: asyncio.Future[Classified] = asyncio.get_running_loop().create_future()
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
                vectors, logits = await self._score(np.stack([pixels for pixels, _ in batch]))
                outcomes = [
                    Classified(decide(probabilities.tolist()), vector)
                    for vector, probabilities in zip(vectors, softmax(logits), strict=True)
                ]
            except Exception as error:  # whatever it is, it is passed on to all who wait for the batch
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)
