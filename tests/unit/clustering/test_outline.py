"""Outlines: their bounds on products hold, they are made where they save work, and they change no label."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from deployments.clustering import dbscan as module
from deployments.clustering.dbscan import HostProducts, OutlinedProducts, Units, dbscan, neighbours, unit_rows
from deployments.clustering.outline import AGAIN, FITTED, TRIED, Outliner, choose_outliner, sampled

Points = NDArray[np.float64]
COUNT, DIMENSIONS, EPS = 6000, 64, 0.1


def in_few_directions(rng: np.random.Generator, count: int = COUNT) -> Points:
    """Groups of three; the first directions have most of the variance, as in embeddings of photographs."""
    scales = 1 / (4 + np.arange(DIMENSIONS))
    centres = rng.standard_normal((count // 3, DIMENSIONS)) * scales
    return centres[rng.integers(len(centres), size=count)] + 0.2 * rng.standard_normal((count, DIMENSIONS)) * scales


def outliner_of(units: Points, eps: float = EPS) -> Outliner | None:
    return choose_outliner(units[sampled(len(units))], len(units), eps)


@pytest.mark.parametrize("kept", [1, 16, 63, 64])
def test_the_product_of_outlines_is_never_less_than_that_of_rows(kept: int) -> None:
    units = unit_rows(in_few_directions(np.random.default_rng(1), 1000))
    directions = np.linalg.qr(np.random.default_rng(2).standard_normal((DIMENSIONS, kept)))[0]
    outlines = Outliner(directions).outline(units).astype(np.float64)
    assert outlines.shape == (1000, kept + 1)
    below = units @ units.T - outlines @ outlines.T
    assert below.max() <= 2 * (kept + 1) * 2.0**-24  # the error of rounding to float32


def test_a_narrow_outline_is_enough_when_few_directions_dominate() -> None:
    outliner = outliner_of(unit_rows(in_few_directions(np.random.default_rng(3))))
    assert outliner is not None
    assert outliner.width < DIMENSIONS // 2


@pytest.mark.parametrize(
    ("count", "eps", "why"),
    [
        (FITTED + TRIED - 1, EPS, "too few rows for a basis"),
        (COUNT, 1.0, "any pair may be near"),
    ],
)
def test_no_outline_where_it_would_save_nothing(count: int, eps: float, why: str) -> None:
    assert outliner_of(unit_rows(in_few_directions(np.random.default_rng(3), count)), eps) is None, why


def test_no_outline_of_few_rows_with_many_dimensions() -> None:
    sample = unit_rows(np.random.default_rng(4).standard_normal((FITTED + TRIED, 512)))
    assert choose_outliner(sample, 16_383, 0.2) is None
    assert choose_outliner(sample, 16_384, 0.2) is not None


def test_no_outline_where_whole_blocks_would_be_recomputed() -> None:
    """One pair in 250 is a pair of neighbours, which no outline can decide."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((250, DIMENSIONS)) / (4 + np.arange(DIMENSIONS))
    units = unit_rows(centres[rng.integers(250, size=COUNT)] + 0.01 * in_few_directions(rng))
    assert outliner_of(units) is None


def test_labels_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some distances are too close to eps, above and below, for float32."""
    points = in_few_directions(np.random.default_rng(5))
    points[1:80:2], points[2:80:2] = points[0], 0.9 * points[0] + 0.1 * points[80]
    eps = float(1 - np.prod(unit_rows(points[1:3]), axis=0).sum())
    drawn: list[int] = []

    class Counted(OutlinedProducts):
        def __init__(self, outlines: HostProducts, rows: Units, columns: Units) -> None:
            drawn.append(1)
            super().__init__(outlines, rows, columns)

    monkeypatch.setattr(module, "OutlinedProducts", Counted)
    for distance in (EPS, eps + 1e-9, eps - 1e-9):
        drawn.clear()
        expected = DBSCAN(eps=distance, min_samples=4, metric="cosine").fit_predict(unit_rows(points))
        assert dbscan(points, distance, 4, threads=2).tolist() == expected.tolist()
        assert drawn


@pytest.mark.parametrize("copies", [2, 40])
def test_undecided_pairs_are_computed_one_by_one_or_all_at_once(copies: int) -> None:
    """One pair in 800 is undecided, or one in 40, which is more than are computed one by one."""
    units = unit_rows(np.repeat(in_few_directions(np.random.default_rng(6), 1600)[: 1600 // copies], copies, axis=0))
    directions = np.linalg.eigh(units.T @ units)[1][:, ::-1][:, :32]
    outlines = Outliner(np.ascontiguousarray(directions)).outline(units)
    rows = Units(units)
    found = neighbours(rows, rows, 1e-6, OutlinedProducts(HostProducts(outlines, outlines), rows, rows))
    assert found.tolist() == neighbours(rows, rows, 1e-6).tolist()
    assert len(found) == len(units) * copies
    assert (len(found) > len(units) ** 2 // AGAIN) == (copies == 40)
