"""Exact DBSCAN (Ester et al. 1996) by cosine distance in memory that grows with the points alone. No Ray in here.

The distance matrix is visited block by block and never kept, nor are its edges: a block gives numbers of neighbours
and merges of components, and is forgotten. `unit_rows`, `neighbours`, `link` and `join` are each of use alone, to
whoever spreads the blocks over several machines.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

NOISE = -1
# Points a side: the products are large enough for the BLAS and a block's temporaries small enough for the caches.
BLOCK = 1024
# With more doubtful pairs than one in so many, a block is computed anew instead of pair by pair.
DOUBTFUL = 512

SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # unit roundoffs
SHORTEST, LONGEST = 1e-14, 1e150  # of a vector


class Cancelled(Exception):
    """`stop` said so."""


def dbscan(
    embeddings: NDArray[np.floating],
    eps: float,
    min_samples: int,
    *,
    threads: int = 1,
    overwrite: bool = False,
    block: int = BLOCK,
    stop: Callable[[], bool] | None = None,
) -> Indices:
    """Cluster vectors by cosine distance; the same labels as `sklearn.cluster.DBSCAN(eps, min_samples, "cosine")`.

    Points are neighbours when 1 − cos <= eps, each its own; with `min_samples` neighbours a point is core. Clusters are
    numbered in the order of their first core points; a point that is not core belongs to the first of the clusters
    that it has a core neighbour in.

    All is decided in float64. The labels are scikit-learn's for the same float64 input as long as no distance lies
    within the rounding of float64 (about d × 2e-16) of eps: such a pair goes by the float64 matrix product of its
    block, which is the same arithmetic, but a BLAS may round it differently in a matrix of another shape.

    Args:
        embeddings: (n, d), finite; read as float64. They need not be normalised.
        eps: the largest distance of neighbours, above 0; from 2 on all are neighbours.
        min_samples: at least 1.
        threads: blocks computed side by side; 1 is right where the BLAS has threads of its own.
        overwrite: normalise in place when `embeddings` are contiguous float64, and spare the copy.
        block: points a side of a block; a thread takes some 30 × block² bytes.
        stop: asked between blocks, from the calling thread.

    Returns:
        (n,) labels from 0 on, −1 for noise.

    Raises:
        ValueError: a row that has no direction, or an impossible eps or min_samples.
        Cancelled: `stop` said so.
    """
    if not (eps > 0 and min_samples >= 1):
        raise ValueError("eps must be above 0 and min_samples at least 1")
    search = _Search(unit_rows(embeddings, overwrite=overwrite), float(eps), min_samples, block, threads, stop)
    return search.labels()


def unit_rows(embeddings: NDArray[np.floating], *, overwrite: bool = False) -> Floats:
    """(n, d) -> (n, d) float64, each row of length 1, rounded as `sklearn.preprocessing.normalize` does.

    Raises:
        ValueError: not (n, d), or a row whose length is not between 1e-14 and 1e150; the message names the first.
    """
    units = np.array(embeddings, np.float64, order="C", copy=None if overwrite else True)
    if units.ndim != 2:
        raise ValueError(f"embeddings must be (n, d), not {units.shape}")
    lengths = row_lengths(units)
    if (unusable := np.flatnonzero(~has_direction(lengths))).size:
        raise ValueError(f"row {unusable[0]} has length {lengths[unusable[0]]:g}: it has no direction")
    units /= lengths[:, None]
    return units


def row_lengths(embeddings: Floats) -> Floats:
    """(n, d) -> (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: Floats = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    return lengths


def has_direction(lengths: Floats) -> Flags:
    """Whether vectors of these lengths can be normalised: neither zero, nor too short, nor too long, nor NaN."""
    return (lengths >= SHORTEST) & (lengths <= LONGEST)


def neighbours(rows: Floats, columns: Floats, eps: float) -> Flags:
    """Which unit rows are within eps of which others: (r, d) and (c, d) -> (r, c).

    The products are float32; what that cannot decide is computed again in float64.
    """
    if eps >= 2:
        return np.ones((len(rows), len(columns)), np.bool_)
    dimensions = rows.shape[1]
    similarities = rows.astype(np.float32) @ columns.astype(np.float32).T
    # A dot product of d numbers is off by at most d roundoffs of Σ|uᵢvᵢ|, which is at most 1, whatever the order of
    # its sum (Higham 2002, §3.1); the rest is for the conversions to float32, of the rows and of the bounds.
    margin = (1.01 * dimensions + 8) * SINGLE
    near: Flags = similarities > 1 - eps + margin
    doubtful = np.flatnonzero(near != (similarities >= 1 - eps - margin))
    if not doubtful.size:
        return near
    if doubtful.size <= near.size // DOUBTFUL:
        row, column = np.divmod(doubtful, len(columns))
        distances = 1 - np.einsum("ij,ij->i", rows[row], columns[column])
        if (np.abs(distances - eps) > (2 * dimensions + 8) * DOUBLE).all():
            near.reshape(-1)[doubtful] = distances <= eps
            return near
    # At the mercy of rounding: scikit-learn's own arithmetic, a matrix product.
    exact = rows @ columns.T
    return np.subtract(1, exact, out=exact) <= eps


def link(near: Flags, rows: Indices, columns: Indices, roots: Indices) -> None:
    """Merge the components of all points that a block joins, in place (Borůvka 1926).

    Args:
        near: (r, c), which of the points `rows` (r,) are joined to which of the points `columns` (c,).
        roots: see `join`.
    """
    while True:
        apart = near & (roots[rows][:, None] != roots[columns])
        out_of_rows, out_of_columns = apart.any(axis=1), apart.any(axis=0)
        if not out_of_rows.any():
            return
        # One way out of each row and of each column: with each round at least half of the components are gone.
        join(roots, rows[out_of_rows], columns[apart[out_of_rows].argmax(axis=1)])
        join(roots, columns[out_of_columns], rows[apart[:, out_of_columns].argmax(axis=0)])


def join(roots: Indices, first: Indices, second: Indices) -> None:
    """Merge the components of first[k] and second[k], for all k, in place.

    Args:
        roots: (n,) the lowest point in the component of each point; `np.arange(n)` before anything is joined.
        first, second: (k,) points.
    """
    while True:
        one, other = roots[first], roots[second]
        if (one == other).all():
            return
        np.minimum.at(roots, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(shorter := roots[roots], roots):
            roots[:] = shorter


Pair = tuple[slice, slice]


class _Search:
    """The visits to the blocks of the upper triangle, up to three times each.

    First: count neighbours, and link the points that are known to be core by then. For min_samples <= 2 that is all.
    Second, where a block had neighbours not yet known to be core: link the rest.
    Third, where a block joins core points and others: give the others their cluster, whose number is known only now.
    """

    def __init__(
        self,
        units: Floats,
        eps: float,
        min_samples: int,
        block: int,
        threads: int,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._units, self._eps, self._min_samples, self._threads, self._stop = units, eps, min_samples, threads, stop
        self._counts = np.ones(len(units), np.int64)
        self._points = np.arange(len(units))
        self._roots = self._points.copy()
        slices = [slice(start, min(start + block, len(units))) for start in range(0, len(units), block)]
        self._pairs = [(one, other) for number, one in enumerate(slices) for other in slices[number:]]

    def labels(self) -> Indices:
        """(n,), as `dbscan` gives them."""
        unsettled = [pair for pair, near in self._visit(self._pairs) if self._count(*pair, near)]
        core = self._core()
        unsettled = [(one, other) for one, other in unsettled if core[one].any() or core[other].any()]
        at_borders = [pair for pair, near in self._visit(unsettled) if self._link(*pair, near)]
        # A root is the first point of its component.
        firsts, numbers = np.unique(self._roots[core], return_inverse=True)
        none = len(firsts)
        clusters = np.full(len(core), none)
        clusters[core] = numbers
        labels = clusters.copy()
        for (one, other), near in self._visit(at_borders):
            for seen, here, there in ((near, one, other), (near.T, other, one)):
                border = ~core[here]
                found = np.where(seen[border], clusters[there], none).min(axis=1)
                labels[here][border] = np.minimum(labels[here][border], found)
        labels[labels == none] = NOISE
        return labels

    def _core(self, points: slice = slice(None)) -> Flags:
        """Which points are known to be core; during the first visits there come more with each block."""
        return self._counts[points] >= self._min_samples

    def _count(self, one: slice, other: slice, near: Flags) -> bool:
        """Count and link; whether any neighbour is not known to be core."""
        self._counts[one] += np.count_nonzero(near, axis=1)
        if one != other:
            self._counts[other] += np.count_nonzero(near, axis=0)
        self._link(one, other, near)
        return bool(near[~self._core(one)].any() or near[:, ~self._core(other)].any())

    def _link(self, one: slice, other: slice, near: Flags) -> bool:
        """Link core points; whether any of them has a neighbour that is not core."""
        rows, columns = self._core(one), self._core(other)
        link(near[rows][:, columns], self._points[one][rows], self._points[other][columns], self._roots)
        return bool(near[~rows][:, columns].any() or near[rows][:, ~columns].any())

    def _visit(self, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Flags]]:
        """The pairs of slices that have something to tell, in order, each with its neighbours."""
        waiting = iter(pairs)
        ahead: deque[tuple[Pair, Future[Flags | None]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dbscan")
        try:
            while True:
                for pair in islice(waiting, self._threads + 1 - len(ahead)):
                    ahead.append((pair, pool.submit(self._neighbours, *pair)))
                if not ahead:
                    return
                if self._stop and self._stop():
                    raise Cancelled
                pair, future = ahead.popleft()
                near = future.result()
                if near is not None:
                    yield pair, near
        finally:
            pool.shutdown(cancel_futures=True)

    def _neighbours(self, one: slice, other: slice) -> Flags | None:
        """None when there is nothing to tell: no neighbours, or all points in one component, which are core then."""
        # The calling thread merges meanwhile. What has one root at any time is one component.
        root = self._roots[one.start]
        if (self._roots[one] == root).all() and (self._roots[other] == root).all():
            return None
        near = neighbours(self._units[one], self._units[other], self._eps)
        if one == other:
            np.fill_diagonal(near, False)  # each is counted as its own neighbour from the start
        return near if near.any() else None
