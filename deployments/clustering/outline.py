"""Upper bounds on the dot products of unit rows, from a part of their coordinates. No Ray in here.

In a rotated basis a row is (head, tail). By Cauchy-Schwarz, x·y <= head·head′ + |tail| |tail′|, the dot product of the
outlines (head, |tail|). Outlines have fewer numbers than rows, so they rule out a pair at a fraction of the cost, and
never wrongly. The basis starts with the principal directions, because the bound is tighter the more of a row its head
holds (as in FEXIPRO, Li et al. 2017).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Sampled rows that the basis is fitted to, and other rows on whose pairs the widths are tried.
FITTED, TRIED = 3072, 1024
STEP = 16  # between the widths that are tried
# The cost of computing one open pair, relative to its share of a block's matrix product; and the share of the cost of
# all products that the expected cost with outlines must stay below.
A_PAIR, WORTH = 100, 0.8
# If more than one pair in this many is left open, the whole block is computed instead of single pairs.
AGAIN = 512
# The basis takes about d³ operations, which most BLAS do slower than the n² × d of all products: it pays off only with
# this many rows per dimension.
ROWS_A_DIMENSION = 32
SEED = 2_026
AT_ONCE = 4096  # rows


class Outliner:
    """Computes the outlines of unit rows.

    Attributes:
        width: the numbers of an outline.
    """

    def __init__(self, directions: Floats) -> None:
        """`directions` (d, k), orthonormal."""
        self._directions = directions
        self.width = directions.shape[1] + 1
        # Rounding errors of about d × 2⁻⁵³ could make the square of a tail too small; this is added to it.
        self._rounding = 8 * len(directions) * 2.0**-53

    def outline(self, units: Floats) -> Singles:
        """Unit rows (n, d) -> (n, width), each number rounded once."""
        outlines = np.empty((len(units), self.width), np.float32)
        for start in range(0, len(units), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            heads = units[part] @ self._directions
            outlines[part, :-1] = heads
            squares = 1 - np.einsum("ij,ij->i", heads, heads)
            outlines[part, -1] = np.sqrt(np.maximum(squares, 0) + self._rounding)
        return outlines


def choose_outliner(sample: Floats, count: int, eps: float) -> Outliner | None:
    """Choose the outliner with which it is cheapest to find the pairs of `count` rows within `eps` of each other.

    Args:
        sample: (m, d), the unit rows that `sampled` selects.
        count: the number of all rows.
        eps: cosine distance.

    Returns:
        None if outlines would save too little: with few rows, with short rows, or if heads of any width leave too many
        pairs open.
    """
    dimensions = sample.shape[1]
    if len(sample) < FITTED + TRIED or count < ROWS_A_DIMENSION * dimensions:
        return None
    tried, fitted = sample[:TRIED], sample[TRIED:]
    directions = np.linalg.eigh(fitted.T @ fitted)[1][:, ::-1]
    costs = {
        kept: (kept + 1) / dimensions + A_PAIR * share
        for kept, share in _left_open((tried @ directions).astype(np.float32), eps)
        if share * AGAIN < 1
    }
    kept = min(costs, key=costs.__getitem__, default=0)
    return Outliner(np.ascontiguousarray(directions[:, :kept])) if costs.get(kept, 1) < WORTH else None


def sampled(count: int) -> NDArray[np.int64]:
    """The numbers of the rows that `choose_outliner` samples, in random order; the same at every call."""
    wanted = min(count, FITTED + TRIED)
    return np.random.default_rng(SEED).choice(count, wanted, replace=False)


def _left_open(rotated: Singles, eps: float) -> Iterator[tuple[int, float]]:
    """Try head widths: yield each number of directions and the share of all pairs that it would not rule out."""
    count, dimensions = rotated.shape
    products, squares = np.zeros((count, count), np.float32), np.zeros(count, np.float32)
    for kept in range(STEP, dimensions, STEP):
        more = rotated[:, kept - STEP : kept]
        products += more @ more.T
        squares += np.einsum("ij,ij->i", more, more)
        tails = np.sqrt(np.maximum(1 - squares, 0))
        reach = np.count_nonzero(products + np.outer(tails, tails) >= 1 - eps)
        yield kept, (reach - count) / (count * (count - 1))
