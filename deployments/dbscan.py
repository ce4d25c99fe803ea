"""Exact DBSCAN (Ester et al. 1996) by cosine distance in memory that grows with the points alone. No Ray in here.

The distance matrix is visited block by block, each once, and never kept, nor are its edges: a point that is known to
be core leaves only its component behind, and any other has, by definition, fewer neighbours than make a core point.
`Growth` holds that. It can be cut off at any time and grown elsewhere, which is how `jobs.cluster` spreads the blocks
over several machines.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.components import Indices, find, join, separate

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]

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
        min_samples: at least 1. Of points that are not core, fewer neighbours than this are kept, at 16 bytes each.
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


class Units(NamedTuple):
    """Unit rows (n, d), as they are and rounded."""

    exact: Floats
    single: Singles

    @classmethod
    def of(cls, exact: Floats) -> "Units":
        """The rows with their rounding."""
        return cls(exact, exact.astype(np.float32))

    def part(self, rows: slice) -> "Units":
        """Some of them, not copied."""
        return Units(self.exact[rows], self.single[rows])


class Products(Protocol):
    """The float32 products of r unit rows with c others, wherever they lie."""

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        """Where they reach the bound, as row × c + column in ascending order, and what they are there."""


class HostProducts:
    """Products in this process's memory."""

    def __init__(self, rows: Singles, columns: Singles, out: Singles | None = None) -> None:
        """`out`: room for them, flat, which the caller uses again and again."""
        room = None if out is None else out[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        self._products = np.matmul(rows, columns.T, out=room).reshape(-1)

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        places = np.flatnonzero(self._products >= bound)
        return places, self._products[places]


def neighbours(rows: Units, columns: Units, eps: float, products: Products | None = None) -> Indices:
    """Which rows are within eps of which columns, as row × c + column, ascending: at most r × c of them.

    What the float32 products cannot decide is computed again in float64.
    """
    shape = len(rows.exact), len(columns.exact)
    if eps >= 2:
        return np.arange(shape[0] * shape[1])
    dimensions = rows.exact.shape[1]
    # A dot product of d numbers is off by at most d roundoffs of Σ|uᵢvᵢ|, which is at most 1, whatever the order of
    # its sum (Higham 2002, §3.1); the rest is for the conversions to float32, of the rows and of the bounds.
    margin = (1.01 * dimensions + 8) * SINGLE
    products = products or HostProducts(rows.single, columns.single)
    places, similarities = products.at_least(1 - eps - margin)
    doubtful = np.flatnonzero(similarities <= 1 - eps + margin)
    if not doubtful.size:
        return places
    if doubtful.size <= shape[0] * shape[1] // DOUBTFUL:
        row, column = np.divmod(places[doubtful], shape[1])
        distances = 1 - np.einsum("ij,ij->i", rows.exact[row], columns.exact[column])
        if (np.abs(distances - eps) > (2 * dimensions + 8) * DOUBLE).all():
            return np.delete(places, doubtful[distances > eps])
    # At the mercy of rounding: scikit-learn's own arithmetic, a matrix product.
    exact = rows.exact @ columns.exact.T
    return np.flatnonzero(np.subtract(1, exact, out=exact) <= eps)


class Growth:
    """What is known of a clustering while pairs of neighbours come in, in any order.

    Attributes:
        counts: (n,) neighbours seen so far, each point its own.
        parents: (n,) the components of the points that are known to be core; see `deployments.components`.
        open: (k, 2) pairs of neighbours one of which at least is not known to be core: k < n × min_samples.
    """

    def __init__(self, count: int, min_samples: int) -> None:
        self.counts: Indices = np.ones(count, np.int64)
        self.parents = separate(count)
        self._min_samples = min_samples
        self._open: list[Indices] = []
        self._opened, self._room = 0, count

    def core(self, points: slice | Indices = slice(None)) -> Flags:
        """Which points are known to be core."""
        return self.counts[points] >= self._min_samples

    @property
    def open(self) -> Indices:
        self._settle()
        return np.concatenate([np.empty((0, 2), np.int64), *self._open])

    def is_one(self, *points: slice) -> bool:
        """Whether all these points are in one component, so that their pairs have nothing to tell."""
        lowest = find(self.parents, np.array([points[0].start]))
        return all((find(self.parents, np.arange(part.start, part.stop)) == lowest).all() for part in points)

    def add(self, one: slice, other: slice, places: Indices) -> None:
        """Take the neighbours of a block, as `neighbours` gives them; a pair of points must be in one block alone."""
        row, column = np.divmod(places, other.stop - other.start)
        if one == other:
            above = row < column
            row, column = row[above], column[above]
        self.counts[one] += np.bincount(row, minlength=one.stop - one.start)
        self.counts[other] += np.bincount(column, minlength=other.stop - other.start)
        both_core = self.core(one)[row] & self.core(other)[column]
        # So many pairs, and so few components among them.
        rows, columns = (find(self.parents, np.arange(part.start, part.stop)) for part in (one, other))
        first, second = rows[row], columns[column]
        apart = both_core & (first != second)
        join(self.parents, first[apart], second[apart])
        self._keep(row[~both_core] + one.start, column[~both_core] + other.start)

    def link(self, first: Indices, second: Indices) -> None:
        """Take neighbours that are counted already: first[k] and second[k], for all k."""
        both_core = self.core(first) & self.core(second)
        join(self.parents, first[both_core], second[both_core])
        self._keep(first[~both_core], second[~both_core])

    def labels(self) -> Indices:
        """(n,) as `dbscan` gives them, when every pair of neighbours has come in."""
        first, second = self.open.T
        core = self.core()
        # A root is the first point of its component.
        roots = find(self.parents, np.flatnonzero(core))
        firsts, numbers = np.unique(roots, return_inverse=True)
        none = len(firsts)
        labels: Indices = np.full(len(core), none)
        labels[core] = numbers
        for border, neighbour in ((first, second), (second, first)):
            reached = core[neighbour] & ~core[border]
            np.minimum.at(labels, border[reached], labels[neighbour[reached]])
        labels[labels == none] = NOISE
        return labels

    def _keep(self, first: Indices, second: Indices) -> None:
        if first.size:
            self._open.append(np.stack([first, second], axis=1))
            self._opened += first.size
        if self._opened > self._room:
            self._settle()
            self._room = max(len(self.counts), 2 * self._opened)

    def _settle(self) -> None:
        """Join the open pairs that are known to be core by now, and forget them."""
        if not self._open:
            return
        pairs = np.concatenate(self._open)
        both_core = self.core(pairs[:, 0]) & self.core(pairs[:, 1])
        join(self.parents, *pairs[both_core].T)
        self._open = [pairs[~both_core]]
        self._opened = len(self._open[0])


Pair = tuple[slice, slice]


class _Search:
    """The visits to the blocks of the upper triangle, `threads` of them ahead of what they are for."""

    def __init__(
        self,
        units: Floats,
        eps: float,
        min_samples: int,
        block: int,
        threads: int,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._units, self._eps, self._block, self._threads, self._stop = units, eps, block, threads, stop
        self._growth = Growth(len(units), min_samples)

    def labels(self) -> Indices:
        """(n,), as `dbscan` gives them."""
        for (one, other), near in self._visit(upper_triangle(len(self._units), self._block)):
            self._growth.add(one, other, near)
        return self._growth.labels()

    def _visit(self, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, Indices]]:
        """The pairs of slices that have something to tell, in order, each with its neighbours."""
        waiting = iter(pairs)
        ahead: deque[tuple[Pair, Future[Indices]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dbscan")
        try:
            while True:
                unsettled = (pair for pair in waiting if not self._growth.is_one(*pair))
                for pair in islice(unsettled, self._threads + 1 - len(ahead)):
                    ahead.append((pair, pool.submit(self._neighbours, *pair)))
                if not ahead:
                    return
                if self._stop and self._stop():
                    raise Cancelled
                pair, future = ahead.popleft()
                yield pair, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _neighbours(self, one: slice, other: slice) -> Indices:
        rows, columns = Units.of(self._units[one]), Units.of(self._units[other])
        return neighbours(rows, columns, self._eps)


def upper_triangle(count: int, block: int) -> Iterator[Pair]:
    """The blocks of the pairs of `count` points, on the diagonal and above it, row by row."""
    slices = [slice(start, min(start + block, count)) for start in range(0, count, block)]
    return ((one, other) for number, one in enumerate(slices) for other in slices[number:])
