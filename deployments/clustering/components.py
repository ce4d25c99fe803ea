"""Connected components of points that are joined in pairs: union-find (Tarjan 1975) on arrays."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def separate(count: int) -> Indices:
    """Return the parents (count,) of points that are not joined yet: each point is its own parent.

    The parent of a point is a lower point of its component. The lowest point of a component is its root and its own
    parent.
    """
    return np.arange(count)


def find(parents: Indices, points: Indices) -> Indices:
    """Return the root (k,) of each of the points (k,), and make it their parent."""
    roots = parents[points]
    while not np.array_equal(above := parents[roots], roots):
        parents[roots] = parents[above]
        roots = above
    parents[points] = roots
    return roots


def join(parents: Indices, first: Indices, second: Indices) -> None:
    """Merge the components of first[k] and second[k], for all k, in place."""
    while True:
        first, second = find(parents, first), find(parents, second)
        apart = first != second
        if not apart.any():
            return
        first, second = first[apart], second[apart]
        np.minimum.at(parents, np.maximum(first, second), np.minimum(first, second))
