"""The approximate search: within the cells of an inverted file (IVF, Sivic and Zisserman 2003) instead of all pairs.

FAISS divides the directions into `nlist` cells by k-means and finds the `nprobe` cells nearest to a vector. The vector
is compared with all vectors in these cells by range search, because a search for the k nearest would split clusters.
The products are those of the exact search: they decide exactly, and are about ten times faster than FAISS's own scan,
which takes one query at a time. So all edges that are found are in the exact graph; their share of it is measured on a
sample. The search runs in this process, on all its cores.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from configs.threads import cores
from deployments.clustering.components import Indices
from deployments.clustering.dbscan import BLOCK, HostProducts, neighbours
from deployments.clustering.growth import Flags, Growth
from jobs.clustering.rows import SearchPlan
from jobs.clustering.vectors import Held
from jobs.runtime.errors import JobRefused
from jobs.runtime.progress import Progress

Pairs = tuple[Indices, Indices]

PROBED = 8
SAMPLE = 1000
TRAINING_POINTS, TRAINING_ROUNDS = 64, 8  # of k-means, points per cell
SEED = 2_026


@dataclass(frozen=True)
class Cells:
    """The number of cells, `nlist`, and how many of them are searched per vector, `nprobe`."""

    nlist: int
    nprobe: int

    @classmethod
    def chosen(cls, count: int, nlist: int | None, nprobe: int | None) -> "Cells":
        """Fill in defaults for what is None: about 2 √count cells, as far as they can be trained, and 8 searched.

        Raises:
            JobRefused: `nlist` is more than `count`.
        """
        nlist = nlist or max(1, min(round(2 * count**0.5), count // TRAINING_POINTS))
        if nlist > count:
            raise JobRefused(f"--nlist {nlist} is more than the {count} vectors: leave it out.")
        return cls(nlist, min(nprobe or PROBED, nlist))


@dataclass(frozen=True)
class Recall:
    """The recall over a sample of `queries` points: their exact number of edges, and how many of these were found."""

    queries: int
    edges: int
    found: int

    @property
    def share(self) -> float:
        """The share of the edges that were found, 0–1; 1 if there are none."""
        return self.found / self.edges if self.edges else 1.0


def require_faiss() -> None:
    """Check that FAISS is installed.

    Raises:
        JobRefused: it is not.
    """
    if find_spec("faiss") is None:
        raise JobRefused("--approximate needs FAISS: pip install 'panoptes[faiss]'.")


class Approximate:
    """The approximate search, over vectors in the memory of this process."""

    def __init__(self, plan: SearchPlan, held: Held, cells: Cells) -> None:
        """Divide the vectors into cells."""
        import faiss

        faiss.omp_set_num_threads(cores())
        # There are many small products, so each gets one thread and they run in parallel.
        self._one_thread_each = partial(threadpool_limits, 1, "blas")
        self._plan, self._held, self._nlist = plan, held, cells.nlist
        rng = np.random.default_rng(SEED)
        training = rng.choice(plan.count, min(plan.count, cells.nlist * TRAINING_POINTS), replace=False)
        kmeans = faiss.Kmeans(
            held.dimensions,
            cells.nlist,
            niter=TRAINING_ROUNDS,
            seed=SEED,
            spherical=True,
            max_points_per_centroid=TRAINING_POINTS,
            min_points_per_centroid=1,
        )
        kmeans.train(held.some(np.sort(training)).single())
        # (n, nprobe), the nearest cells of each vector; it lies in the first.
        self._probed = np.empty((plan.count, cells.nprobe), np.int32)
        for number in range(plan.rows):
            self._probed[plan.points(number)] = kmeans.index.search(held.units(number).single(), cells.nprobe)[1]
        self._cell = self._probed[:, 0]

    def search(self) -> list[Growth]:
        """Search, and return the growth for each threshold.

        It is that of DBSCAN on the graph of the edges that were found. An edge is found if the cell of either end is
        among the cells that are searched for the other end.
        """
        growths = [Growth(self._plan.count, threshold.min_samples) for threshold in self._plan.thresholds]
        ahead: deque[Future[list[Pairs]]] = deque()
        with (
            self._one_thread_each(),
            ThreadPoolExecutor(cores()) as pool,
            Progress(("vectors",), self._plan.count) as progress,
        ):
            for cell, visitors, members in self._cells():
                for queries, others in product(_parts(visitors), _parts(members)):
                    if not all(growth.is_one(queries, others) for growth in growths):
                        ahead.append(pool.submit(self._pairs, cell, queries, others))
                    while len(ahead) > 2 * cores():
                        _add(growths, ahead.popleft())
                progress.advance(vectors=len(members))
            while ahead:
                _add(growths, ahead.popleft())
        return growths

    def recall(self) -> Recall:
        """Measure the recall of the edges of the first threshold on a sample of 1,000 points."""
        rng = np.random.default_rng(SEED + 1)
        sample = np.sort(rng.choice(self._plan.count, min(SAMPLE, self._plan.count), replace=False))
        queries, edges, found = self._held.some(sample), 0, 0
        for number in range(self._plan.rows):
            units, start = self._held.units(number), self._plan.points(number).start
            for column in range(0, len(units), BLOCK):
                part = units.part(slice(column, column + BLOCK))
                near = np.divmod(neighbours(queries, part, self._plan.thresholds[0].eps), len(part))
                first, second = sample[near[0]], near[1] + start + column
                others = first != second
                first, second = first[others], second[others]
                edges += len(first)
                found += int((self._looks_at(first, second) | self._looks_at(second, first)).sum())
        return Recall(len(sample), edges, found)

    def _pairs(self, cell: int, queries: Indices, others: Indices) -> list[Pairs]:
        """For each threshold, the pairs of neighbours between points that search a cell and points that lie in it."""
        rows, columns = self._held.some(queries), self._held.some(others)
        products = HostProducts(rows.single(), columns.single())
        pairs = []
        for threshold in self._plan.thresholds:
            row, column = np.divmod(neighbours(rows, columns, threshold.eps, products), len(others))
            first, second = queries[row], others[column]
            new = self._is_new(cell, first, second)
            pairs.append((first[new], second[new]))
        return pairs

    def _cells(self) -> Iterator[tuple[int, Indices, Indices]]:
        """Yield each non-empty cell: its number, the points that search it, and the points that lie in it."""
        nprobe = self._probed.shape[1]
        visits, order = (np.argsort(cells, kind="stable") for cells in (self._probed.reshape(-1), self._cell))
        numbers = np.arange(self._nlist + 1)
        visits_ends = np.searchsorted(self._probed.reshape(-1)[visits], numbers)
        ends = np.searchsorted(self._cell[order], numbers)
        for cell in range(self._nlist):
            members = order[ends[cell] : ends[cell + 1]]
            if len(members):
                yield cell, visits[visits_ends[cell] : visits_ends[cell + 1]] // nprobe, members

    def _looks_at(self, first: Indices, second: Indices) -> Flags:
        """Whether first[k] searches the cell in which second[k] lies."""
        looks: Flags = (self._probed[first] == self._cell[second][:, None]).any(axis=1)
        return looks

    def _is_new(self, cell: int, first: Indices, second: Indices) -> Flags:
        """Whether a pair is counted in this cell, in which second[k] lies: a pair found in two cells counts once."""
        own = self._cell[first]
        return np.where(own == cell, first < second, (own < cell) | ~self._looks_at(second, first))


def _parts(points: Indices) -> list[Indices]:
    return [points[start : start + BLOCK] for start in range(0, len(points), BLOCK)]


def _add(growths: list[Growth], found: Future[list[Pairs]]) -> None:
    for growth, (first, second) in zip(growths, found.result(), strict=True):
        growth.add_pairs(first, second)
