"""The results of a clustering: labels, clusters with typical members, groups of near-duplicates with best members."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deployments.clustering.components import Indices
from deployments.clustering.dbscan import Floats
from deployments.clustering.growth import NOISE, Flags, Growth
from jobs.clustering.vectors import Held, Points

AT_ONCE = 8192  # vectors that are converted to float64 at a time


@dataclass(frozen=True)
class Groups:
    """Points in groups: `labels` (n,) from 0 on or −1, `sizes` (g,), `typical` (g,) one point of each group."""

    labels: Indices
    sizes: Indices
    typical: Indices

    @classmethod
    def of(cls, labels: Indices, held: Held) -> "Groups":
        """Find the typical member of each group: the one nearest in direction to their mean.

        Of a large group, at most 8,192 evenly selected members are considered.
        """
        sizes = np.bincount(labels[labels != NOISE])
        batches = [_nearest_to_mean(held, groups) for groups in _batches(_members(labels, len(sizes)))]
        return cls(labels, sizes, np.concatenate([np.empty(0, np.int64), *batches]))

    def members(self, label: int) -> Indices:
        """The points of a group, ascending."""
        return np.flatnonzero(self.labels == label)

    def largest(self, count: int) -> list[int]:
        """The labels of the largest groups; ties go to the lower label."""
        return [int(label) for label in np.argsort(-self.sizes, kind="stable")[:count]]


@dataclass(frozen=True)
class Duplicates:
    """Groups of near-duplicates, and the `best` (g,) point of each group."""

    groups: Groups
    best: Indices


@dataclass(frozen=True)
class Summary:
    """A clustering of points. `core` (n,): which points are core. `duplicates` is None if they were not searched."""

    points: Points
    clusters: Groups
    core: Flags
    duplicates: Duplicates | None

    @property
    def noise(self) -> int:
        """The number of points that are in no cluster."""
        return int((self.clusters.labels == NOISE).sum())


def summarise(points: Points, held: Held, clusters: Growth, duplicates: Growth | None) -> Summary:
    """Number the clusters, and find their typical members and the best member of each group of near-duplicates.

    The best member has the highest quality; if no quality is known, it is the typical member.
    """
    found = None
    if duplicates is not None:
        groups = Groups.of(duplicates.labels(), held)
        found = Duplicates(groups, _best(groups, points.quality))
    return Summary(points, Groups.of(clusters.labels(), held), clusters.core(), found)


def labels_table(summary: Summary) -> pa.Table:
    """One row per point: id, label (−1 for noise), is_core."""
    return pa.table({"id": summary.points.ids, "label": summary.clusters.labels, "is_core": summary.core})


def clusters_table(summary: Summary) -> pa.Table:
    """One row per cluster: label, size, core_points, typical_id."""
    clusters = summary.clusters
    core = np.bincount(clusters.labels[summary.core], minlength=len(clusters.sizes))
    return pa.table(
        {
            "label": np.arange(len(clusters.sizes)),
            "size": clusters.sizes,
            "core_points": core,
            "typical_id": summary.points.ids.take(pa.array(clusters.typical)),
        }
    )


def duplicates_table(summary: Summary, duplicates: Duplicates, held: Held) -> pa.Table:
    """One row per near-duplicate, by group: group, id, is_best, distance_to_best, label and, if known, quality."""
    labels = duplicates.groups.labels
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] != NOISE]
    best = duplicates.best[labels[order]]
    columns = {
        "group": labels[order],
        "id": summary.points.ids.take(pa.array(order)),
        "is_best": best == order,
        "distance_to_best": _distances(held, order, best),
        "label": summary.clusters.labels[order],
    }
    if summary.points.quality is not None:
        columns["quality"] = pa.array(summary.points.quality[order], from_pandas=True)
    return pa.table(columns)


def projection(held: Held, count: int, most: int) -> tuple[Indices, NDArray[np.float64], float]:
    """Project the unit rows of at most `most` evenly selected points onto their first two principal components.

    Returns:
        The points (k,), their coordinates (k, 2), and the share of the variance in the two components, 0–1.
    """
    points = np.arange(0, count, -(-count // most))
    rows = held.some(points).exact()
    rows -= rows.mean(axis=0)
    variances, directions = np.linalg.eigh(rows.T @ rows)
    places = np.zeros((len(points), 2))
    axes = directions[:, ::-1][:, :2]
    places[:, : axes.shape[1]] = rows @ axes
    total = float(variances.sum())
    return points, places, float(variances[-2:].sum()) / total if total > 0 else 1.0


def _best(groups: Groups, quality: Floats | None) -> Indices:
    if quality is None:
        return groups.typical
    known = np.where(np.isnan(quality), -np.inf, quality)
    known[groups.typical] = np.nextafter(known[groups.typical], np.inf)  # ties go to the typical member
    order = np.lexsort((-known, groups.labels))
    order = order[groups.labels[order] != NOISE]
    best: Indices = order[np.cumsum(groups.sizes) - groups.sizes]
    return best


def _distances(held: Held, points: Indices, others: Indices) -> Floats:
    distances = np.empty(len(points))
    for start in range(0, len(points), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        products = np.einsum("ij,ij->i", held.some(points[part]).exact(), held.some(others[part]).exact())
        distances[part] = np.maximum(0, 1 - products)
    return distances


def _members(labels: Indices, count: int) -> Iterator[Indices]:
    """Yield the members of each group; of a group over 8,192, only some, evenly selected."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(count + 1))
    for start, end in pairwise(ends):
        yield order[start : end : -(-(end - start) // AT_ONCE)]


def _batches(groups: Iterator[Indices]) -> Iterator[list[Indices]]:
    batch: list[Indices] = []
    size = 0
    for group in groups:
        batch.append(group)
        size += len(group)
        if size >= AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _nearest_to_mean(held: Held, groups: list[Indices]) -> Indices:
    """The member of each group that is nearest in direction to the mean of its members."""
    points, sizes = np.concatenate(groups), np.array([len(group) for group in groups])
    rows = held.some(points).exact()
    starts: Indices = np.cumsum(sizes) - sizes
    sums = np.add.reduceat(rows, starts)
    number = np.repeat(np.arange(len(groups)), sizes)
    order = np.lexsort((-np.einsum("ij,ij->i", rows, sums[number]), number))
    nearest: Indices = points[order[starts]]
    return nearest
