"""Exact DBSCAN (Ester et al. 1996) by cosine distance, in memory linear in the number of points. No Ray in here.

The distance matrix is computed block by block, each block once, and is never kept. Nor are all pairs of neighbours:
of a pair of core points only their common component is stored, and a point that is not core has, by definition, fewer
than `min_samples` neighbours to store. `Growth` holds this state. It can be saved at any time and continued elsewhere,
which is how `jobs.clustering` spreads the blocks over several machines. Where a few coordinates already prove that two
points are not neighbours (`deployments.clustering.outline`), the other coordinates are not read.
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

# Points per side: large enough for fast BLAS products, small enough that a block's temporaries stay in the caches.
BLOCK = 1024

SINGLE, DOUBLE = 2.0**-24, 2.0**-53  # unit roundoffs
SHORTEST, LONGEST = 1e-14, 1e150  # lengths of vectors that can be normalised
LONGEST_SINGLE = 1e37  # the longest length whose inverse is a normal float32


class Cancelled(Exception):
    """The caller's `stop` returned True."""


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
    """Cluster vectors by cosine distance, with the labels of `sklearn.cluster.DBSCAN(eps, min_samples, "cosine")`.

    Two points are neighbours when 1 − cos <= eps; each point is its own neighbour. A point with at least `min_samples`
    neighbours is core. Clusters are numbered in the order of their first core points. A point that is not core belongs
    to the lowest-numbered cluster in which it has a core neighbour.

    Every decision is made in float64. The labels equal scikit-learn's for the same float64 input as long as no distance
    lies within the rounding error of float64 (about d × 2e-16) of eps. Such a pair is decided by the float64 matrix
    product of its block. scikit-learn does the same, but a BLAS may round differently in a matrix of another shape.

    Args:
        embeddings: (n, d), finite; read as float64. They need not be normalised.
        eps: the largest distance between neighbours, above 0; from 2 on all points are neighbours.
        min_samples: at least 1. A point that is not core stores fewer than this many neighbours, at 16 bytes each.
        threads: blocks computed in parallel; use 1 where the BLAS has threads of its own.
        overwrite: normalise in place if `embeddings` are contiguous float64, to avoid a copy.
        block: points per side of a block; a thread takes about 60 × block² bytes.
        stop: called between blocks from the calling thread; True cancels the work.

    Returns:
        (n,) labels from 0 on, −1 for noise.

    Raises:
        ValueError: a row has no direction, or eps or min_samples is out of range.
        Cancelled: `stop` returned True.
    """
    if not (eps > 0 and min_samples >= 1):
        raise ValueError("eps must be above 0 and min_samples at least 1")
    search = _Search(unit_rows(embeddings, overwrite=overwrite), float(eps), min_samples, block, threads, stop)
    return search.labels()


def unit_rows(embeddings: NDArray[np.floating], *, overwrite: bool = False) -> Floats:
    """(n, d) -> (n, d) float64, each row of length 1, rounded as `sklearn.preprocessing.normalize` does.

    Raises:
        ValueError: not (n, d), or the length of a row is not between 1e-14 and 1e150; the message names the first such
            row.
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
    """The Euclidean lengths of rows: (n, d) -> (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths: Floats = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    return lengths


def has_direction(lengths: Floats) -> Flags:
    """Whether vectors of these lengths can be normalised: neither zero, nor too short, nor too long, nor NaN."""
    return (lengths >= SHORTEST) & (lengths <= LONGEST)


class Units:
    """Unit rows (n, d), given out in float32 for fast products and in float64 for close decisions."""

    def __init__(self, vectors: NDArray[np.floating], lengths: Floats | None = None) -> None:
        """Hold `vectors` (n, d), float32 or float64, without a copy.

        `lengths` (n,) are their `row_lengths`; None means that every row has length 1.
        """
        self._vectors, self._lengths = vectors, lengths

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dimensions(self) -> int:
        """The numbers of a row, d."""
        return int(self._vectors.shape[1])

    def exact(self, rows: slice | Indices = slice(None)) -> Floats:
        """The given rows as float64."""
        vectors = self._vectors[rows].astype(np.float64, copy=False)
        return vectors if self._lengths is None else vectors / self._lengths[rows, None]

    def single(self, rows: slice | Indices = slice(None)) -> Singles:
        """The given rows as float32, each number rounded at most twice."""
        vectors = self._vectors[rows]
        if self._lengths is None:
            return vectors.astype(np.float32, copy=False)
        lengths = self._lengths[rows, None]
        if vectors.dtype == np.float32 and lengths.max(initial=0) <= LONGEST_SINGLE:
            scaled: Singles = vectors * (1 / lengths).astype(np.float32)
            return scaled
        return (vectors / lengths).astype(np.float32)

    def part(self, rows: slice) -> "Units":
        """The given rows as `Units` that share this memory."""
        return Units(self._vectors[rows], None if self._lengths is None else self._lengths[rows])


class Products(Protocol):
    """The float32 dot products of r unit rows with c others, in main or GPU memory."""

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        """The products >= `bound`: their places, row × c + column in ascending order, and their values."""


class HostProducts:
    """Products in this process's memory."""

    def __init__(self, rows: Singles, columns: Singles, out: Singles | None = None) -> None:
        """Compute all products, in the flat buffer `out` if the caller has one to reuse."""
        room = None if out is None else out[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        self._products = np.matmul(rows, columns.T, out=room).reshape(-1)

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        places = np.flatnonzero(self._products >= bound)
        return places, self._products[places]


class OutlinedProducts:
    """Products that are computed only for the pairs of rows that their outlines do not rule out."""

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
        """The pairs that the outlines do not rule out at this bound, and their products."""
        places, _ = self._outlines.at_least(bound)
        if places.size > len(self._rows) * len(self._columns) // AGAIN:
            return HostProducts(self._rows.single(), self._columns.single()).at_least(bound)
        row, column = np.divmod(places, len(self._columns))
        return places, np.einsum("ij,ij->i", self._rows.single(row), self._columns.single(column))


def neighbours(rows: Units, columns: Units, eps: float, products: Products | None = None) -> Indices:
    """The pairs of rows (r, d) and columns (c, d) within eps of each other, as row × c + column, ascending.

    Pairs that the float32 products cannot decide are computed again in float64.
    """
    size = len(rows) * len(columns)
    if eps >= 2:
        return np.arange(size)
    # The error of a dot product of d numbers is at most d roundoffs of Σ|uᵢvᵢ| <= 1, in any order of summation (Higham
    # 2002, §3.1). The rest of the margin covers the conversion of rows and bounds to float32. Outlines are unit rows
    # too, of fewer numbers, so the margin holds for them as well.
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
    # Too close to eps, or too many to compute pair by pair: use scikit-learn's arithmetic, a float64 matrix product.
    exact = rows.exact() @ columns.exact().T
    return np.flatnonzero(np.subtract(1, exact, out=exact) <= eps)


Pair = tuple[slice, slice]


class _Search:
    """One clustering: threads compute the blocks of the upper triangle ahead of the growth that takes them in."""

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
        """The blocks, in order, each with its neighbours; a block that lies in one component is skipped."""
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
    """The blocks on and above the diagonal of the (count, count) distance matrix, row by row."""
    slices = [slice(start, min(start + block, count)) for start in range(0, count, block)]
    return ((one, other) for number, one in enumerate(slices) for other in slices[number:])
