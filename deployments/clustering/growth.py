"""The state of a DBSCAN while pairs of neighbours arrive: counts, components, and the pairs that are still open."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deployments.clustering.components import Indices, find, join, separate

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int32]

NOISE = -1


class GrowthSnapshot(NamedTuple):
    """The state of a growth that another search can start from.

    `counts`: (n,) neighbours seen so far, cut off at `min_samples`. `parents`: (n,) the root of each point.
    """

    min_samples: int
    counts: Numbers
    parents: Numbers


class GrowthUpdate(NamedTuple):
    """What a search adds to a growth. It holds a spanning forest and the open pairs, never all pairs of neighbours.

    `counts`: (n,) how many more neighbours. `joined`: (k, 2) points in one component, k < n. `open`: (k, 2), as in
    `Growth`.
    """

    counts: Numbers
    joined: Numbers
    open: Numbers


class Growth:
    """The state of a clustering while pairs of neighbours arrive, in any order.

    Attributes:
        counts: (n,) neighbours seen so far; each point counts itself.
        parents: (n,) the components of the points that are known to be core; see `deployments.clustering.components`.
        open: (k, 2) pairs of neighbours of which at least one is not known to be core, k < n × min_samples.
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

    def is_one(self, *points: slice | Indices) -> bool:
        """Whether all these points are in one component, so that their pairs add nothing."""
        parts = [np.arange(part.start, part.stop) if isinstance(part, slice) else part for part in points]
        lowest = find(self.parents, parts[0][:1])
        return all((find(self.parents, part) == lowest).all() for part in parts)

    def add(self, one: slice, other: slice, places: Indices) -> None:
        """Add the neighbours of a block, as `neighbours` returns them. Each pair of points may be in one block only."""
        width = other.stop - other.start
        row = places // width  # several times faster than divmod
        column = places - row * width
        if one == other:
            above = row < column
            row, column = row[above], column[above]
        self.counts[one] += np.bincount(row, minlength=one.stop - one.start)
        self.counts[other] += np.bincount(column, minlength=width)
        core_row, core_column = self.core(one), self.core(other)
        if not (core_row.all() and core_column.all()):
            both_core = core_row[row] & core_column[column]
            self._keep(row[~both_core] + one.start, column[~both_core] + other.start)
            row, column = row[both_core], column[both_core]
        self._join(one, other, row, column)

    def _join(self, one: slice, other: slice, row: Indices, column: Indices) -> None:
        """Join the points of a block that these pairs connect; `row` ascends."""
        # Most pairs are redundant: the first pair of each row and all pairs of the first row usually connect all.
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        for some in (begins, slice(0, begins[1] if len(begins) > 1 else len(row))):
            join(self.parents, row[some] + one.start, column[some] + other.start)
        if self.is_one(one, other):
            return
        rows, columns = (find(self.parents, np.arange(part.start, part.stop)) for part in (one, other))
        first, second = rows[row], columns[column]
        apart = first != second
        join(self.parents, first[apart], second[apart])

    def add_pairs(self, first: Indices, second: Indices) -> None:
        """Add the pairs of neighbours first[k], second[k], for all k. No pair may occur twice, not even reversed."""
        np.add.at(self.counts, first, 1)
        np.add.at(self.counts, second, 1)
        self.link(first, second)

    def link(self, first: Indices, second: Indices) -> None:
        """Add the pairs of neighbours first[k], second[k], for all k, without counting them: they are in `counts`."""
        both_core = self.core(first) & self.core(second)
        join(self.parents, first[both_core], second[both_core])
        self._keep(first[~both_core], second[~both_core])

    def labels(self) -> Indices:
        """The labels (n,) as `dbscan` returns them, once every pair of neighbours has been added."""
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

    def known(self) -> GrowthSnapshot:
        """A snapshot from which a search can continue elsewhere."""
        count = len(self.counts)
        seen = np.minimum(self.counts, self._min_samples)
        return GrowthSnapshot(
            self._min_samples, seen.astype(np.int32), find(self.parents, np.arange(count)).astype(np.int32)
        )

    @classmethod
    def of(cls, known: GrowthSnapshot) -> "Growth":
        """A growth that starts from the snapshot of another."""
        growth = cls(len(known.counts), known.min_samples)
        growth.counts, growth.parents = known.counts.astype(np.int64), known.parents.astype(np.int64)
        return growth

    def found_since(self, known: GrowthSnapshot) -> GrowthUpdate:
        """What has been added since this growth started from `known`."""
        pairs = self.open
        moved = np.flatnonzero((known.parents == np.arange(len(known.parents))) & (self.parents != known.parents))
        joined = np.stack([moved, self.parents[moved]], axis=1)
        return GrowthUpdate(*(array.astype(np.int32) for array in (self.counts - known.counts, joined, pairs)))

    def take(self, found: GrowthUpdate) -> None:
        """Add what a search found elsewhere. Each block may be added once only."""
        self.counts += found.counts
        join(self.parents, *found.joined.T.astype(np.int64))
        self.link(*found.open.T.astype(np.int64))

    def _keep(self, first: Indices, second: Indices) -> None:
        if first.size:
            self._open.append(np.stack([first, second], axis=1))
            self._opened += first.size
        if self._opened > self._room:
            self._settle()
            self._room = max(len(self.counts), 2 * self._opened)

    def _settle(self) -> None:
        """Join the open pairs whose points are both known to be core by now, and drop them."""
        if not self._open:
            return
        pairs = np.concatenate(self._open)
        both_core = self.core(pairs[:, 0]) & self.core(pairs[:, 1])
        join(self.parents, *pairs[both_core].T)
        self._open = [pairs[~both_core]]
        self._opened = len(self._open[0])
