"""Vectors in memory, compared all at once."""

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1_024


class VectorMatrix:
    """Unit vectors by id, in one array that grows by doubling. Cosine similarity with all of them is one product."""

    def __init__(self, dimensions: int) -> None:
        self._rows = np.empty((SMALLEST, dimensions), np.float32)
        self._ids = np.empty(SMALLEST, np.int64)
        self._count = 0

    @property
    def dimensions(self) -> int:
        return self._rows.shape[1]

    @property
    def ids(self) -> NDArray[np.int64]:
        """(n,), in no order."""
        return self._ids[: self._count]

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take (n, d) vectors that are not zero under (n,) ids that are not here."""
        end = self._count + len(ids)
        if end > len(self._ids):
            capacity = max(end, 2 * len(self._ids))
            self._ids = np.concatenate([self.ids, np.empty(capacity - self._count, np.int64)])
            rows = np.empty((capacity, self.dimensions), np.float32)
            rows[: self._count] = self._rows[: self._count]
            self._rows = rows
        self._ids[self._count : end] = ids
        self._rows[self._count : end] = unit(vectors)
        self._count = end

    def keep(self, ids: NDArray[np.int64]) -> None:
        """Forget every vector whose id is not among `ids`."""
        stays = np.isin(self.ids, ids)
        if stays.all():
            return
        left = int(stays.sum())
        self._rows[:left] = self._rows[: self._count][stays]
        self._ids[:left] = self.ids[stays]
        self._count = left

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The `count` ids most like a (d,) query and their cosine similarities, the best first, then the lower id."""
        scores = np.clip(self._rows[: self._count] @ unit(query[np.newaxis])[0], -1, 1)
        best = np.arange(self._count)
        if count < self._count:
            # Everything as good as the last that is wanted, so that equals are chosen by their ids.
            best = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
        order = best[np.lexsort((self.ids[best], -scores[best]))][:count]
        return self.ids[order], scores[order]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) vectors that are not zero, at length 1. Scaled first, so that no square overflows or vanishes."""
    scaled = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / lengths, np.float32)
