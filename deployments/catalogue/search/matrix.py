"""A matrix of vectors in memory, and the search in it."""

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1_024


class VectorMatrix:
    """Unit vectors with ids, in one array that grows by doubling, so that a search is one matrix product."""

    def __init__(self, dimensions: int) -> None:
        self._rows = np.empty((SMALLEST, dimensions), np.float32)
        self._ids = np.empty(SMALLEST, np.int64)
        self._count = 0

    @property
    def dimensions(self) -> int:
        return self._rows.shape[1]

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids (n,), in no particular order."""
        return self._ids[: self._count]

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, d), none of them zero, with new ids (n,)."""
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
        """Remove all vectors whose id is not in `ids`."""
        stays = np.isin(self.ids, ids)
        if stays.all():
            return
        left = int(stays.sum())
        self._rows[:left] = self._rows[: self._count][stays]
        self._ids[:left] = self.ids[stays]
        self._count = left

    def nearest(self, query: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ids of the `count` vectors nearest to a query (d,), and their cosine similarities.

        The best come first; ties go to the lower id.
        """
        scores = np.clip(self._rows[: self._count] @ unit(query[np.newaxis])[0], -1, 1)
        best = np.arange(self._count)
        if count < self._count:
            # All that are at least as good as the last one wanted, so that ties can be decided by id.
            best = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
        order = best[np.lexsort((self.ids[best], -scores[best]))][:count]
        return self.ids[order], scores[order]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalise vectors (n, d), none of them zero, to length 1. Scaled first, so that no square over- or underflows."""
    scaled = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / lengths, np.float32)
