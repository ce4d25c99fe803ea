"""The search of `jobs.clustering` without Ray: independent block rows give scikit-learn's labels."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from deployments.clustering.dbscan import row_lengths
from deployments.clustering.growth import Growth
from deployments.clustering.outline import Outliner
from jobs.clustering.approximate import Approximate, Cells
from jobs.clustering.rows import (
    Block,
    HostEngine,
    RowFound,
    SearchPlan,
    Threshold,
    pack,
    points_a_block,
    search_row,
    unpack,
)
from jobs.clustering.vectors import Held
from jobs.runtime.errors import JobRefused

Points = NDArray[np.floating]
Case = tuple[Points, float, int]  # vectors, eps, min_samples


def blobs(rng: np.random.Generator, count: int, dimensions: int, centres: int, spread: float) -> Points:
    chosen = rng.standard_normal((centres, dimensions))[rng.integers(centres, size=count)]
    return chosen + spread * rng.standard_normal((count, dimensions))


def with_noise(rng: np.random.Generator, count: int, dimensions: int, spread: float) -> Points:
    points = [blobs(rng, count, dimensions, 20, spread), rng.standard_normal((count // 4, dimensions))]
    return rng.permutation(np.concatenate(points))


def circle(rng: np.random.Generator, count: int) -> Points:
    angles = rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "20,000 points": lambda rng: (blobs(rng, 20_000, 16, 300, 0.4), 0.08, 5),
    "5,000 points, many borders": lambda rng: (with_noise(rng, 4000, 4, 0.3), 0.01, 12),
    "5,000 points of 128": lambda rng: (with_noise(rng, 4000, 128, 0.5), 0.3, 3),
    "2,500 points, the defaults": lambda rng: (with_noise(rng, 2000, 64, 0.5), 0.35, 2),
    "borders in 2 dimensions": lambda rng: (circle(rng, 1500), 2e-6, 4),
    "borders in 3 dimensions": lambda rng: (with_noise(rng, 1200, 3, 0.2), 0.004, 9),
    "borders in 5 dimensions": lambda rng: (with_noise(rng, 1200, 5, 0.2), 0.01, 20),
    "more neighbours than a block row has": lambda rng: (blobs(rng, 1200, 3, 3, 0.1), 0.003, 150),
    "core only by what several block rows found": lambda rng: (blobs(rng, 1500, 8, 5, 0.2), 0.02, 40),
    "a chain": lambda rng: (rng.permutation(np.concatenate([circle(rng, 800), circle(rng, 400)])), 1e-4, 2),
    "duplicates": lambda rng: (rng.permutation(np.repeat(blobs(rng, 60, 8, 60, 1), 15, axis=0)), 0.01, 15),
    "duplicates, one too few": lambda rng: (np.repeat(blobs(rng, 60, 8, 60, 1), 15, axis=0), 1e-9, 16),
    "all the same": lambda rng: (np.repeat(blobs(rng, 1, 16, 1, 1), 900, axis=0), 0.01, 50),
    "nobody is core": lambda rng: (blobs(rng, 600, 3, 600, 1), 1e-7, 3),
    "everybody is core": lambda rng: (blobs(rng, 600, 3, 30, 0.2), 1e-3, 1),
    "all are neighbours": lambda rng: (blobs(rng, 400, 3, 30, 0.2), 2.0, 5),
    "float32": lambda rng: (with_noise(rng, 800, 64, 0.5).astype(np.float32), 0.3, 4),
    "lengths from 1e-6 to 1e6": lambda rng: (
        blobs(rng, 700, 16, 9, 0.2) * 10.0 ** rng.integers(-6, 7, size=(700, 1)), 0.03, 6
    ),
    "most distances near eps": lambda rng: (rng.standard_normal((500, 512)), 1.0, 250),
    "two points": lambda rng: (np.array([[1.0, 0.01], [1, 0]]), 0.1, 2),
}  # fmt: skip


def held(points: Points, size: int) -> Held:
    blocks = [points[start : start + size] for start in range(0, len(points), size)]
    return Held(blocks, size, row_lengths(points.astype(np.float64)))


def blocks(points: Points, size: int, outliner: Outliner | None = None) -> Callable[[int], Block]:
    vectors = held(points, size)

    def block(number: int) -> Block:
        units = vectors.units(number)
        return Block(units, outliner.outline(units.exact()) if outliner else None)

    return block


def searched(
    points: Points, size: int, thresholds: tuple[Threshold, ...], outliner: Outliner | None = None, at_a_time: int = 3
) -> list[Growth]:
    """Search as the job does: each block row starts from the state saved in a file, and they end in any order."""
    plan = SearchPlan(len(points), size, thresholds)
    rng = np.random.default_rng(4)
    growths = [Growth(plan.count, one.min_samples) for one in thresholds]
    waiting, running = list(range(plan.rows)), list[RowFound]()
    side = 1024 if size >= 1024 else 100
    while waiting or running:
        if waiting and len(running) < at_a_time:
            known = [growth.known() for growth in growths]
            running.append(search_row(plan, waiting.pop(0), blocks(points, size, outliner), known, HostEngine(side)))
            continue
        row = unpack(pack(running.pop(rng.integers(len(running)))))
        for growth, found in zip(growths, row.found, strict=True):
            growth.take(found)
    return growths


@pytest.mark.parametrize("name", CASES)
def test_block_rows_give_the_labels_of_scikit_learn(name: str) -> None:
    points, eps, min_samples = CASES[name](np.random.default_rng(3))
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(points.astype(np.float64))
    size = points_a_block(len(points)) if len(points) == 20_000 else max(1, len(points) // 7)
    (growth,) = searched(points, size, (Threshold(eps, min_samples),))
    assert growth.labels().tolist() == expected.tolist()


@pytest.mark.parametrize("kept", [None, 3, 7])
def test_two_thresholds_are_searched_at_once(kept: int | None) -> None:
    """Without outlines, and with outlines of three directions and of all but one."""
    points = with_noise(np.random.default_rng(1), 900, 8, 0.3)
    outliner = Outliner(np.eye(8)[:, :kept]) if kept else None
    clusters, duplicates = searched(points, 200, (Threshold(0.05, 5), Threshold(0.005, 2)), outliner)
    for growth, eps, min_samples in ((clusters, 0.05, 5), (duplicates, 0.005, 2)):
        expected = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(points)
        assert growth.labels().tolist() == expected.tolist()


def test_a_block_row_returns_a_forest_and_few_pairs() -> None:
    """3,000 points that are all neighbours: 4.5 million edges."""
    points = np.ones((3000, 4)) + 1e-6 * np.random.default_rng(0).standard_normal((3000, 4))
    plan = SearchPlan(3000, 1000, (Threshold(0.1, 20),))
    row = search_row(plan, 0, blocks(points, 1000), [Growth(3000, 20).known()], HostEngine())
    (found,) = row.found
    assert len(found.joined) == 2999
    assert len(found.open) == 0
    assert len(pack(row)) < 30_000


def test_connected_points_are_not_compared_again() -> None:
    points = np.ones((3000, 4))
    plan = SearchPlan(3000, 1000, (Threshold(0.1, 2),))
    growth = Growth(3000, 2)
    first = search_row(plan, 0, blocks(points, 1000), [growth.known()], HostEngine())
    growth.take(first.found[0])
    assert first.compared >= len(points)
    assert search_row(plan, 1, blocks(points, 1000), [growth.known()], HostEngine()).compared == 0


@pytest.mark.parametrize(
    ("count", "size", "rows"), [(1, 1024, 1), (20_000, 1024, 20), (100_000, 4096, 25), (10**6, 8192, 123)]
)
def test_block_rows_are_enough_for_many_cores_and_not_too_small(count: int, size: int, rows: int) -> None:
    assert points_a_block(count) == size
    assert SearchPlan(count, size, ()).rows == rows


@pytest.mark.parametrize("count", [1, 999, 1000, 2001])
def test_every_pair_is_in_one_block_row(count: int) -> None:
    plan = SearchPlan(count, 100, ())
    assert sum(plan.pairs(row) for row in range(plan.rows)) == count * (count - 1) // 2


def test_all_cells_searched_is_exact() -> None:
    points = with_noise(np.random.default_rng(5), 2000, 16, 0.4).astype(np.float32)
    plan = SearchPlan(len(points), 512, (Threshold(0.1, 4), Threshold(0.02, 2)))
    approximate = Approximate(plan, held(points, 512), Cells(30, 30))
    growths = approximate.search()
    for growth, threshold in zip(growths, plan.thresholds, strict=True):
        expected = DBSCAN(eps=threshold.eps, min_samples=threshold.min_samples, metric="cosine")
        assert growth.labels().tolist() == expected.fit_predict(points.astype(np.float64)).tolist()
    recall = approximate.recall()
    assert recall.queries == 1000
    assert recall.found == recall.edges > 1000


def test_recall_is_measured_when_cells_are_skipped() -> None:
    points = np.random.default_rng(6).standard_normal((1500, 6))
    plan = SearchPlan(len(points), 512, (Threshold(0.3, 3),))
    approximate = Approximate(plan, held(points, 512), Cells(20, 2))
    growth = approximate.search()[0]
    recall = approximate.recall()
    distances = 1 - (points @ points.T) / np.outer(*[np.linalg.norm(points, axis=1)] * 2)
    edges = (distances <= 0.3).sum() - len(points)
    assert recall.edges == pytest.approx(edges * 1000 / 1500, rel=0.05)  # estimated from a sample
    assert recall.share == pytest.approx((growth.counts - 1).sum() / edges, rel=0.02)
    assert 0.2 < recall.share < 0.95


def test_cells_are_chosen_for_the_number_of_vectors() -> None:
    assert Cells.chosen(1_000_000, None, None) == Cells(2000, 8)
    assert Cells.chosen(100, None, None) == Cells(1, 1)
    assert Cells.chosen(5000, 40, 64) == Cells(40, 40)
    with pytest.raises(JobRefused, match="--nlist 200 is more than the 100 vectors"):
        Cells.chosen(100, 200, 1)
