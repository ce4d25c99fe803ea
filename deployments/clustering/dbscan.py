"""Exact DBSCAN (Ester et al. 1996) by cosine distance in memory that grows with the points alone. No Ray in here.

The distance matrix is visited block by block, each once, and never kept, nor are its edges: a point that is known to
be core leaves only its component behind, and any other has, by definition, fewer neighbours than make a core point.
`Growth` holds that. It can be cut off at any time and grown elsewhere, which is how `jobs.clustering` spreads
the blocks over several machines. Where some coordinates tell that two points are no neighbours
(`deployments.clustering.outline`), the others are not looked at.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.clustering.components import Indices
from deployments.clustering.growth import Flags, Growth
from deployments.clustering.outline import AGAIN, choose_outliner, sampled

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Points a side: the products are large enough for the BLAS and a block's temporaries small enough for the caches.
BLOCK = 1024

SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # unit roundoffs
SHORTEST, LONGEST = 1e-14, 1e150  # of a vector
LONGEST_SINGLE = 1e37  # whose inverse is a normal float32


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
        block: points a side of a block; a thread takes some 60 × block² bytes.
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


class Units:
    """Unit rows (n, d): float32 for the products, float64 where a decision hangs on them."""

    def __init__(self, vectors: NDArray[np.floating], lengths: Floats | None = None) -> None:
        """`vectors` (n, d) float32 or float64 with their `row_lengths` (n,), or of length 1 when None; not copied."""
        self._vectors, self._lengths = vectors, lengths

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimensions(self) -> int:
        """d."""
        return int(self._vectors.shape[1])

    def exact(self, rows: slice | Indices = slice(None)) -> Floats:
        """Some rows in float64."""
        vectors = self._vectors[rows].astype(np.float64, copy=False)
        return vectors if self._lengths is None else vectors / self._lengths[rows, None]

    def single(self, rows: slice | Indices = slice(None)) -> Singles:
        """Some rows in float32, each number rounded twice at most."""
        vectors = self._vectors[rows]
        if self._lengths is None:
            return vectors.astype(np.float32, copy=False)
        lengths = self._lengths[rows, None]
        if vectors.dtype == np.float32 and lengths.max(initial=0) <= LONGEST_SINGLE:
            scaled: Singles = vectors * (1 / lengths).astype(np.float32)
            return scaled
        return (vectors / lengths).astype(np.float32)

    def part(self, rows: slice) -> "Units":
        """Some rows, sharing their memory with these."""
        return Units(self._vectors[rows], None if self._lengths is None else self._lengths[rows])


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


class OutlinedProducts:
    """The products of rows, of those pairs alone that the products of their outlines leave open."""

    def __init__(self, outlines: Products, rows: Units, columns: Units) -> None:
        """`outlines`: the products of the outlines of these rows and columns."""
        self._outlines, self._rows, self._columns = outlines, rows, columns
        self._bound, self._found = np.inf, (np.empty(0, np.int64), np.empty(0, np.float32))

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        if bound < self._bound:
            self._bound, self._found = bound, self._open(bound)
        places, products = self._found
        reach = products >= bound
        return places[reach], products[reach]

    def _open(self, bound: float) -> tuple[Indices, Singles]:
        """What the outlines leave open at this bound, and the products there."""
        places, _ = self._outlines.at_least(bound)
        if places.size > len(self._rows) * len(self._columns) // AGAIN:
            return HostProducts(self._rows.single(), self._columns.single()).at_least(bound)
        row, column = np.divmod(places, len(self._columns))
        return places, np.einsum("ij,ij->i", self._rows.single(row), self._columns.single(column))


def neighbours(rows: Units, columns: Units, eps: float, products: Products | None = None) -> Indices:
    """Which rows are within eps of which columns, as row × c + column, ascending: at most r × c of them.

    What the float32 products cannot decide is computed again in float64.
    """
    size = len(rows) * len(columns)
    if eps >= 2:
        return np.arange(size)
    # A dot product of d numbers is off by at most d roundoffs of Σ|uᵢvᵢ|, which is at most 1, whatever the order of
    # its sum (Higham 2002, §3.1); the rest is for the conversions to float32, of the rows and of the bounds. Outlines
    # are unit rows too, and shorter.
    margin = (1.01 * rows.dimensions + 8) * SINGLE
    products = products or HostProducts(rows.single(), columns.single())
    places, similarities = products.at_least(1 - eps - margin)
    doubtful = np.flatnonzero(similarities <= 1 - eps + margin)
    if not doubtful.size:
        return places
    if doubtful.size <= size // AGAIN:
        row, column = np.divmod(places[doubtful], len(columns))
        distances = 1 - np.einsum("ij,ij->i", rows.exact(row), columns.exact(column))
        if (np.abs(distances - eps) > (2 * rows.dimensions + 8) * DOUBLE).all():
            return np.delete(places, doubtful[distances > eps])
    # At the mercy of rounding: scikit-learn's own arithmetic, a matrix product.
    exact = rows.exact() @ columns.exact().T
    return np.flatnonzero(np.subtract(1, exact, out=exact) <= eps)


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
        outliner = choose_outliner(units[sampled(len(units))], len(units), eps)
        self._outlines = None if outliner is None else outliner.outline(units)

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
        rows, columns = Units(self._units[one]), Units(self._units[other])
        if self._outlines is None:
            return neighbours(rows, columns, self._eps)
        outlines = HostProducts(self._outlines[one], self._outlines[other])
        return neighbours(rows, columns, self._eps, OutlinedProducts(outlines, rows, columns))


def upper_triangle(count: int, block: int) -> Iterator[Pair]:
    """The blocks of the pairs of `count` points, on the diagonal and above it, row by row."""
    slices = [slice(start, min(start + block, count)) for start in range(0, count, block)]
    return ((one, other) for number, one in enumerate(slices) for other in slices[number:])
