"""DBSCAN in blocks: scikit-learn's labels on easy and hard sets, bounded memory, and cancellation."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import DBSCAN
from sklearn.metrics.pairwise import cosine_distances

from deployments.clustering import dbscan as module
from deployments.clustering.components import find, join, separate
from deployments.clustering.dbscan import Cancelled, Units, dbscan, neighbours, row_lengths, unit_rows, upper_triangle
from deployments.clustering.growth import Growth

Points = NDArray[np.floating]
Case = tuple[Points, float, int]  # embeddings, eps, min_samples


def on_circle(*degrees: float) -> Points:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def apart(degrees: float) -> float:
    """The cosine distance of two directions."""
    return float(1 - np.cos(np.radians(degrees)))


def near(rows: Points, columns: Points, eps: float) -> NDArray[np.bool_]:
    """(r, d) and (c, d) unit rows -> (r, c), which are neighbours."""
    flags = np.zeros(len(rows) * len(columns), np.bool_)
    flags[neighbours(Units(rows), Units(columns), eps)] = True
    return flags.reshape(len(rows), len(columns))


def random(rng: np.random.Generator, count: int, dimensions: int) -> Points:
    return rng.standard_normal((count, dimensions))


def blobs(rng: np.random.Generator, count: int, dimensions: int, centres: int, spread: float) -> Points:
    chosen = random(rng, centres, dimensions)[rng.integers(centres, size=count)]
    return chosen + spread * random(rng, count, dimensions)


def blobs_with_noise(rng: np.random.Generator) -> Case:
    points = np.concatenate([blobs(rng, 2400, 32, 12, 0.25), random(rng, 600, 32)])
    return rng.permutation(points), 0.06, 8


def chain(rng: np.random.Generator, gap: float) -> Case:
    """A chain with links of one degree and two gaps, in random order."""
    degrees = np.concatenate([np.arange(0, 100), 100 + gap + np.arange(0, 90), 200 + 2 * gap + np.arange(0, 60)])
    return rng.permutation(on_circle(*degrees)), apart(1.5), 2


def shared_border(order: list[int]) -> Case:
    """Two clusters of four, and half way between them a non-core point with one core neighbour in each."""
    points = on_circle(0, 1, 2, 3, 8, 13, 14, 15, 16)
    return points[order], apart(5.1), 4


def late_merge(rng: np.random.Generator) -> Case:
    """A border point between B and C; C becomes one with A, the first cluster, only through the last points."""
    a, c, bridge = np.arange(60, 70, 0.5), np.arange(30, 40, 0.5), np.arange(40.5, 60, 0.5)
    b, border = np.arange(0, 20, 0.5), [25.0]
    return on_circle(*a, *border, *b, *c, *bridge), apart(5.6), 5


def at_a_distance_that_occurs(rng: np.random.Generator, count: int, dimensions: int, share: float) -> Case:
    points = random(rng, count, dimensions)
    distances = np.sort(cosine_distances(points)[np.triu_indices(count, 1)])
    return points, float(distances[int(share * len(distances))]), 4


def groups_exactly_eps_apart(rng: np.random.Generator) -> Case:
    """Copies of a few vectors, so that very many pairs lie at exactly eps, up to rounding."""
    copies = rng.permutation(np.repeat(np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0.6, 0, 0.8]]), 150, axis=0))
    return copies, float(cosine_distances([[1.0, 0, 0]], [[0.8, 0.6, 0]])[0, 0]), 200


CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "random in 1 dimension": lambda rng: (random(rng, 90, 1), 0.5, 3),
    "random in 2 dimensions": lambda rng: (random(rng, 700, 2), 0.00002, 3),
    "random in 3 dimensions": lambda rng: (random(rng, 1000, 3), 0.004, 5),
    "random in 512 dimensions": lambda rng: (random(rng, 500, 512), 0.9, 4),
    "random where most distances are close to eps": lambda rng: (random(rng, 500, 512), 1.0, 250),
    "blobs": lambda rng: (blobs(rng, 1200, 16, 10, 0.2), 0.03, 6),
    "blobs that touch": lambda rng: (blobs(rng, 1200, 3, 12, 0.3), 0.01, 12),
    "blobs with noise": blobs_with_noise,
    "blobs, the default": lambda rng: (blobs(rng, 800, 64, 20, 0.3), 0.35, 2),
    "a chain": lambda rng: chain(rng, gap=0),
    "a chain with gaps": lambda rng: chain(rng, gap=2),
    "duplicates": lambda rng: (rng.permutation(np.repeat(random(rng, 40, 8), 15, axis=0)), 0.01, 15),
    "duplicates, too few": lambda rng: (np.repeat(random(rng, 40, 8), 15, axis=0), 0.01, 16),
    "all identical": lambda rng: (np.repeat(random(rng, 1, 512), 300, axis=0), 0.01, 50),
    "antipodes, eps 2": lambda rng: (np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]]), 2.0, 4),
    "antipodes, eps under 2": lambda rng: (np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]]), 1.9999, 2),
    "every third degree at three degrees": lambda rng: (on_circle(*range(0, 360, 3)), apart(3), 3),
    "a distance that occurs, 2 dimensions": lambda rng: at_a_distance_that_occurs(rng, 300, 2, 0.01),
    "a distance that occurs, 8 dimensions": lambda rng: at_a_distance_that_occurs(rng, 300, 8, 0.02),
    "groups exactly eps apart": groups_exactly_eps_apart,
    "everybody is core": lambda rng: (random(rng, 200, 3), 0.001, 1),
    "nobody is core": lambda rng: (random(rng, 200, 3), 0.1, 201),
    "a shared border point": lambda rng: shared_border([0, 1, 2, 3, 4, 5, 6, 7, 8]),
    "a shared border point, the other cluster first": lambda rng: shared_border([5, 6, 7, 8, 4, 0, 1, 2, 3]),
    "a shared border point, itself first": lambda rng: shared_border([4, 8, 0, 7, 1, 6, 2, 5, 3]),
    "a shared border point, its cluster merges late": late_merge,
    "lengths from 1e-6 to 1e6": lambda rng: (
        blobs(rng, 600, 16, 8, 0.2) * 10.0 ** rng.integers(-6, 7, size=(600, 1)), 0.03, 6
    ),
    "float32": lambda rng: (blobs(rng, 600, 64, 8, 0.2).astype(np.float32), 0.03, 4),
    "float32 in Fortran's order": lambda rng: (np.asfortranarray(blobs(rng, 300, 16, 8, 0.2), np.float32), 0.03, 4),
    "two points": lambda rng: (random(rng, 2, 4), 0.5, 2),
    "two neighbours": lambda rng: (on_circle(10, 11), 0.5, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("block", "threads"), [(module.BLOCK, 1), (64, 2)])
def test_labels_are_those_of_scikit_learn(name: str, block: int, threads: int) -> None:
    points, eps, min_samples = CASES[name](np.random.default_rng(7))
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(np.asarray(points, np.float64))
    labels = dbscan(points, eps, min_samples, block=block, threads=threads)
    assert labels.dtype == np.int64
    assert labels.tolist() == expected.tolist()


@pytest.mark.parametrize("dimensions", [64, 512])
def test_a_distance_of_eps_is_rounded_as_in_scikit_learn(dimensions: int) -> None:
    """In one block the matrix product is identical; over several, a BLAS may round a few elements differently."""
    points, eps, min_samples = at_a_distance_that_occurs(np.random.default_rng(7), 300, dimensions, 0.02)
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(points)
    assert dbscan(points, eps, min_samples).tolist() == expected.tolist()


@pytest.mark.parametrize("block", range(1, 10))
def test_border_points_are_found_wherever_a_block_ends(block: int) -> None:
    points, eps, min_samples = shared_border([5, 6, 7, 8, 4, 0, 1, 2, 3])
    assert dbscan(points, eps, min_samples, block=block).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(20))
def test_labels_are_those_of_scikit_learn_on_random_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dimensions, count = int(rng.choice([2, 3, 8, 100])), int(rng.integers(2, 400))
    points = blobs(rng, count, dimensions, int(rng.integers(1, 20)), rng.uniform(0.01, 0.6))
    eps = float(np.quantile(cosine_distances(points), rng.uniform(0.001, 0.3))) + 1e-9
    min_samples = int(rng.integers(1, 15))
    expected = DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit_predict(points)
    assert dbscan(points, eps, min_samples, block=int(rng.integers(1, 100))).tolist() == expected.tolist()


def test_distances_too_close_for_float32_are_decided_in_float64() -> None:
    """A few pairs a billionth inside and outside eps: they are computed one by one."""
    eps = 0.3
    angles = np.arccos(1 - eps * (1 + np.array([-1e-9, 1e-9])))
    rows = np.zeros((64, 512))
    rows[0, 0] = 1
    rows[np.arange(1, 64), np.arange(1, 64)] = 1
    columns = np.zeros((64, 512))
    columns[np.arange(2, 64), np.arange(102, 164)] = 1
    columns[:2, 0], columns[:2, 100] = np.cos(angles), np.sin(angles)
    single = rows[0].astype(np.float32) @ columns[:2].astype(np.float32).T
    assert single[0] == single[1]
    found = near(rows, columns, eps)
    assert found[0, :2].tolist() == [True, False]
    assert found.sum() == 1


def test_distances_too_close_for_float64_are_decided_by_the_matrix_product() -> None:
    """Pairs whose distance exceeds eps when the products are summed in another order."""
    units = unit_rows(random(np.random.default_rng(2), 600, 512))
    distances = 1 - units @ units.T
    otherwise = 1 - np.einsum("ijk,ijk->ij", units[:5, None], units[None, 5:])
    pairs = np.argwhere(otherwise > distances[:5, 5:])
    assert len(pairs) > 100
    for row, column in pairs[:20]:
        assert near(units, units, float(distances[row, 5 + column]))[row, 5 + column]


def test_no_distance_is_beyond_two() -> None:
    assert near(np.array([[1 + 1e-15]]), np.array([[-1.0]]), 2.0).all()


def test_many_undecided_pairs_are_not_collected() -> None:
    """Copies of two vectors at eps: computed pair by pair, their 40,000 products would take 330 MB."""
    units = np.zeros((200, 512))
    units[:100, 0], units[100:, 0], units[100:, 1] = 1, 0.8, 0.6
    tracemalloc.start()
    try:
        places = neighbours(Units(units), Units(units), 0.2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(places) == 40_000
    assert peak < 5_000_000


def test_the_error_bound_of_float32_holds_and_is_tight() -> None:
    """Each decision of float32 alone agrees with float64, even where nearly all pairs are undecided."""
    rng = np.random.default_rng(1)
    units = unit_rows(random(rng, 400, 300))
    distances = 1 - units @ units.T
    for eps in np.quantile(distances, [0.001, 0.1, 0.5, 0.9]) + 1e-12:
        assert (near(units, units, eps) == (distances <= eps)).all()


def count_products(monkeypatch: pytest.MonkeyPatch, points: Points, eps: float, min_samples: int) -> int:
    visited: list[int] = []

    def counted(rows: Any, columns: Any, eps: float) -> Any:
        visited.append(1)
        return neighbours(rows, columns, eps)

    monkeypatch.setattr(module, "neighbours", counted)
    dbscan(points, eps, min_samples, block=50)
    return len(visited)


def test_no_block_is_computed_twice_when_two_points_make_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    points = random(np.random.default_rng(3), 500, 3)
    assert count_products(monkeypatch, points, 0.001, 2) == 10 * 11 / 2


def test_points_of_one_cluster_are_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.ones((5000, 3))
    assert count_products(monkeypatch, points, 0.1, 20) < 110  # of 5,050 blocks: the first of each row of blocks


@pytest.mark.parametrize("min_samples", [2, 50])
def test_memory_does_not_grow_with_pairs(min_samples: int) -> None:
    """All points are neighbours: 32 million pairs of 16 bytes would take 512 MB."""
    points = np.ones((8000, 4))
    tracemalloc.start()
    try:
        labels = dbscan(points, 0.1, min_samples, block=256, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not labels.any()
    assert peak < 8000**2 / 5


def test_few_pairs_are_kept_for_points_that_are_not_core() -> None:
    """500 groups of 19 are never core with 20: all of their 85,500 pairs are kept, and no more."""
    points = np.repeat(random(np.random.default_rng(6), 500, 8), 19, axis=0)
    tracemalloc.start()
    try:
        labels = dbscan(points, 1e-9, 20, block=256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (labels == -1).all()
    assert peak < len(points) * 20 * 16 * 3


def test_it_stops_when_told() -> None:
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 4

    with pytest.raises(Cancelled):
        dbscan(random(np.random.default_rng(0), 500, 3), 0.1, 300, block=20, stop=stop)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("points", "eps", "min_samples", "message"),
    [
        (np.array([[1.0, 0], [0, 0]]), 0.1, 1, "row 1 has length 0"),
        (np.array([[1.0, np.nan], [0, 1]]), 0.1, 1, "row 0 has length nan"),
        (np.array([[1.0, 0], [1e200, 0]]), 0.1, 1, "row 1 has length inf"),
        (np.array([[1.0, 0], [1e-15, 0]]), 0.1, 1, "row 1 has length 1e-15"),
        (np.ones(3), 0.1, 1, r"must be \(n, d\)"),
        (np.ones((3, 2)), 0.0, 1, "eps must be above 0"),
        (np.ones((3, 2)), np.nan, 1, "eps must be above 0"),
        (np.ones((3, 2)), 0.1, 0, "min_samples at least 1"),
    ],
)
def test_invalid_input_is_refused(points: Points, eps: float, min_samples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dbscan(points, eps, min_samples)


def test_the_input_is_unchanged_unless_it_may_be_overwritten() -> None:
    points = 2 * random(np.random.default_rng(0), 20, 3)
    before = points.copy()
    labels = dbscan(points, 0.1, 2)
    assert (points == before).all()
    assert (dbscan(points, 0.1, 2, overwrite=True) == labels).all()
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)


def test_joined_components_have_their_lowest_point_as_root() -> None:
    parents = separate(8)
    join(parents, np.array([7, 5, 3, 2]), np.array([5, 3, 1, 6]))
    assert find(parents, np.arange(8)).tolist() == [0, 1, 2, 1, 4, 1, 2, 1]
    join(parents, np.array([6]), np.array([7]))
    assert find(parents, np.arange(8)).tolist() == [0, 1, 1, 1, 4, 1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_components_are_those_of_the_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(2000, size=(2, 1500))
    parents = separate(2000)
    for part in np.array_split(np.arange(1500), 40):
        join(parents, first[part], second[part])
    graph = coo_array((np.ones(1500), (first, second)), shape=(2000, 2000))
    count, expected = connected_components(graph, directed=False)
    roots = find(parents, np.arange(2000))
    assert len(np.unique(roots)) == count == len(np.unique(np.stack([roots, expected]), axis=1).T)
    assert (roots <= np.arange(2000)).all()


def test_a_long_chain_is_followed_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each point's parent is the one before it; link by link that would take 20,000 steps."""
    parents, steps, equal = np.maximum(np.arange(20_000) - 1, 0), 0, np.array_equal

    def counted(one: Any, other: Any) -> bool:
        nonlocal steps
        steps += 1
        return equal(one, other)

    monkeypatch.setattr(np, "array_equal", counted)
    assert not find(parents, np.arange(20_000)).any()
    assert not parents.any()
    assert steps < 20


@pytest.mark.parametrize("order", [1, -1])
def test_pairs_may_come_in_any_order(order: int) -> None:
    rng = np.random.default_rng(5)
    units = unit_rows(np.concatenate([blobs(rng, 500, 3, 12, 0.1), random(rng, 200, 3)]))
    growth = Growth(len(units), 6)
    for one, other in list(upper_triangle(len(units), 64))[::order]:
        growth.add(one, other, neighbours(Units(units[one]), Units(units[other]), 3e-3))
    labels = growth.labels()
    assert labels.max() > 5
    assert labels.tolist() == dbscan(units, 3e-3, 6).tolist()


def test_two_searches_can_be_merged() -> None:
    """Two searches start from the same state; merging their results gives the whole."""
    rng = np.random.default_rng(8)
    units = unit_rows(np.concatenate([blobs(rng, 500, 3, 12, 0.1), random(rng, 200, 3)]))
    blocks = list(upper_triangle(len(units), 64))

    def search(growth: Growth, part: slice) -> Growth:
        for one, other in blocks[part]:
            growth.add(one, other, neighbours(Units(units[one]), Units(units[other]), 3e-3))
        return growth

    whole = search(Growth(len(units), 6), slice(0, 5))
    known = whole.known()
    for part in (slice(40, None), slice(5, 40)):
        found = search(Growth.of(known), part).found_since(known)
        assert len(found.joined) < len(units)
        assert len(found.open) < len(units) * 6
        whole.take(found)
    assert whole.labels().tolist() == dbscan(units, 3e-3, 6).tolist()


def test_a_length_beyond_float32_keeps_its_direction() -> None:
    rows = np.full((2, 512), 3e38, np.float32)
    assert near(np.full((2, 512), 512**-0.5), Units(rows, row_lengths(rows.astype(np.float64))).single(), 1e-6).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_of_any_length_give_the_labels_of_unit_rows(kind: type[np.floating]) -> None:
    rng = np.random.default_rng(9)
    points = (blobs(rng, 300, 300, 5, 1) * 10.0 ** rng.integers(-6, 7, size=(300, 1))).astype(kind)
    units = unit_rows(points)
    distances = 1 - units @ units.T
    rows = Units(points, row_lengths(points.astype(np.float64)))
    assert rows.exact().tolist() == units.tolist()
    for eps in np.quantile(distances, [0.01, 0.1, 0.5, 0.9]) + 1e-12:
        expected = np.flatnonzero(distances <= eps).tolist()
        assert neighbours(rows, rows, eps).tolist() == expected
        assert neighbours(rows.part(slice(0, 300)), Units(units), eps).tolist() == expected
