"""Connected components of points that are joined pair by pair: union-find (Tarjan 1975) on arrays."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def separate(count: int) -> Indices:
    """(count,) parents of points none of which is joined to another.

    The parent of a point is a lower point of its component, or itself: then it is the component's lowest, its root.
    """
    return np.arange(count)


def find(parents: Indices, points: Indices) -> Indices:
    """The root of each of the points (k,), which lie closer to it afterwards."""
    roots = parents[points]
    while not np.array_equal(above := parents[roots], roots):
        parents[roots] = parents[above]
        roots = above
    parents[points] = roots
    return roots


def join(parents: Indices, first: Indices, second: Indices) -> None:
    """Make one component of those of first[k] and second[k], for all k, in place."""
    while True:
        first, second = find(parents, first), find(parents, second)
        apart = first != second
        if not apart.any():
            return
        first, second = first[apart], second[apart]
        np.minimum.at(parents, np.maximum(first, second), np.minimum(first, second))
