"""The approximate search: an inverted file of FAISS (IVF, Jégou et al. 2011) instead of all pairs, in this process.

Each vector is compared with those in the `nprobe` of `nlist` cells that are nearest to it, by range search: all within
the distance, not the k nearest, which would cut clusters apart. What is found is decided exactly; what lies in another
cell is missed. The share that is found is measured on a sample, not assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from configs.threads import cores
from deployments.components import Indices
from deployments.dbscan import BLOCK, SINGLE, neighbours
from deployments.growth import Growth
from jobs.clustering.rows import Plan
from jobs.clustering.vectors import Held
from jobs.errors import JobRefused
from jobs.progress import Progress

QUERIES = 4096  # at a time
MOST_FOUND = 20_000_000  # neighbours of these, at 12 bytes each
PROBED = 8
SAMPLE = 1000
TRAINING_POINTS, TRAINING_ROUNDS = 64, 8  # for each cell
SEED = 2_026


@dataclass(frozen=True)
class Cells:
    """How many cells there are, and how many are looked at for a vector."""

    nlist: int
    nprobe: int

    @classmethod
    def chosen(cls, count: int, nlist: int | None, nprobe: int | None) -> "Cells":
        """None: about 2 √count cells, or as many as can be trained, and 8 of them."""
        nlist = nlist or max(1, min(round(2 * count**0.5), count // TRAINING_POINTS))
        if nlist > count:
            raise JobRefused(f"--nlist {nlist} is more than the {count} vectors: leave it out.")
        return cls(nlist, min(nprobe or PROBED, nlist))


@dataclass(frozen=True)
class Recall:
    """Of the edges of `queries` points, how many exact search finds and how many were found."""

    queries: int
    edges: int
    found: int

    @property
    def share(self) -> float:
        """1 where there is no edge."""
        return self.found / self.edges if self.edges else 1.0


class Approximate:
    """The search by cells over vectors in this process's memory, and beside them the index, of the same size."""

    def __init__(self, plan: Plan, held: Held, cells: Cells) -> None:
        """Train and fill the index. JobRefused: FAISS is not installed."""
        try:
            import faiss  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise JobRefused("--approximate needs FAISS: pip install 'panoptes[faiss]'.") from error
        faiss.omp_set_num_threads(cores())
        self._plan, self._held = plan, held
        self._at_once = max(1, min(QUERIES, MOST_FOUND * cells.nlist // (plan.count * cells.nprobe)))
        # The index does not own it.
        self._quantizer = faiss.IndexFlatIP(held.dimensions)
        self._index = faiss.IndexIVFFlat(self._quantizer, held.dimensions, cells.nlist, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.niter, self._index.cp.seed = TRAINING_ROUNDS, SEED
        self._index.nprobe = cells.nprobe
        rng = np.random.default_rng(SEED)
        training = rng.choice(plan.count, min(plan.count, cells.nlist * TRAINING_POINTS), replace=False)
        self._index.train(held.some(np.sort(training)).single)
        for number in range(plan.rows):
            self._index.add(held.units(number).single)
        lists: Any = self._index.invlists
        members = [faiss.rev_swig_ptr(lists.get_ids(cell), lists.list_size(cell)) for cell in range(cells.nlist)]
        self._by_cell: Indices = np.concatenate(members)

    def search(self) -> list[Growth]:
        """The growth of each threshold. A pair is looked for once, from its later point."""
        growths = [Growth(self._plan.count, threshold.min_samples) for threshold in self._plan.thresholds]
        # Neighbours look at the same cells: one after the other, they find them in the caches.
        order = self._by_cell
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        with Progress(("vectors",), self._plan.count) as progress:
            for start in range(0, len(order), self._at_once):
                queries = order[start : start + self._at_once]
                self._search(queries, place, growths)
                progress.advance(vectors=len(queries))
        return growths

    def recall(self, growth: Growth) -> Recall:
        """Of the first threshold, whose growth is given."""
        rng = np.random.default_rng(SEED + 1)
        sample = np.sort(rng.choice(self._plan.count, min(SAMPLE, self._plan.count), replace=False))
        queries = self._held.some(sample)
        edges = -len(sample)  # each finds itself
        for number in range(self._plan.rows):
            units = self._held.units(number)
            for start in range(0, len(units), BLOCK):
                part = units.part(slice(start, start + BLOCK))
                edges += len(neighbours(queries, part, self._plan.thresholds[0].eps))
        return Recall(len(sample), edges, int((growth.counts[sample] - 1).sum()))

    def _search(self, queries: Indices, place: Indices, growths: Sequence[Growth]) -> None:
        """Range search for the widest threshold, then exactly for each."""
        rows = self._held.some(queries)
        margin = (1.01 * rows.dimensions + 8) * SINGLE
        widest = max(threshold.eps for threshold in self._plan.thresholds)
        limits, similarities, found = self._index.range_search(rows.single, 1 - widest - margin)
        row = np.repeat(np.arange(len(queries)), np.diff(limits).astype(np.int64))
        others = found != queries[row]
        row, found, similarities = row[others], found[others], similarities[others]
        for threshold, growth in zip(self._plan.thresholds, growths, strict=True):
            near = similarities > 1 - threshold.eps + margin
            doubtful = np.flatnonzero(~near & (similarities >= 1 - threshold.eps - margin))
            for part in np.array_split(doubtful, len(doubtful) // BLOCK + 1):
                exact = np.einsum("ij,ij->i", rows.exact(row[part]), self._held.some(found[part]).exact())
                near[part] = 1 - exact <= threshold.eps
            growth.counts[queries] += np.bincount(row[near], minlength=len(queries))
            first, second = queries[row[near]], found[near]
            # Whether the earlier point is core is settled: a pair without a core point is of no use.
            useful = (place[second] < place[first]) & (growth.core(first) | growth.core(second))
            growth.link(first[useful], second[useful])
