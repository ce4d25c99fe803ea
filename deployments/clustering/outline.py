"""Bounds on the dot products of unit rows, from a part of their coordinates. No Ray in here.

In a rotated basis a row is (head, tail), and by Cauchy and Schwarz x·y <= head·head′ + |tail| |tail′|. That is the dot
product of the outlines (head, |tail|), which are shorter than the rows: a pair whose outlines stay below what is looked
for is ruled out at a part of the price, and exactly. The principal directions come first, because heads should hold as
much of the rows as they can (as FEXIPRO does for inner products, Li et al. 2017).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# Rows that the basis is made from, and others on whose pairs widths are tried.
FITTED, TRIED = 3072, 1024
STEP = 16  # between the widths that are tried
# What a pair costs that is not ruled out, in products of whole rows; of few directions more than this share.
A_PAIR, WORTH = 100, 0.8
# With more pairs to look at again than one in so many, a block is computed anew instead of pair by pair.
AGAIN = 512
# The basis takes some d³ operations, and few BLAS do them as fast as the n² × d of all products.
ROWS_A_DIMENSION = 32
SEED = 2_026
AT_ONCE = 4096  # rows


class Outliner:
    """Makes the outlines of unit rows.

    Attributes:
        width: of an outline.
    """

    def __init__(self, directions: Floats) -> None:
        """`directions` (d, k), orthonormal."""
        self._directions = directions
        self.width = directions.shape[1] + 1
        # What rounding, of some d × 2⁻⁵³, could take away from the square of a tail.
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
    """The outliner that makes it cheapest to find which of `count` rows are within `eps` of each other.

    Args:
        sample: unit rows (m, d) among them, as `sampled` takes them.
        count: of all rows.
        eps: cosine distance.

    Returns:
        None where it would hardly spare anything: of few rows, of rows of few numbers, and where heads of any width
        leave too many pairs open.
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
    """Which of so many rows `choose_outliner` wants to see, in no order that tells anything; the same at every call."""
    wanted = min(count, FITTED + TRIED)
    return np.random.default_rng(SEED).choice(count, wanted, replace=False)


def _left_open(rotated: Singles, eps: float) -> Iterator[tuple[int, float]]:
    """Numbers of directions that could be kept, and the share of all pairs that each would not rule out."""
    count, dimensions = rotated.shape
    products, squares = np.zeros((count, count), np.float32), np.zeros(count, np.float32)
    for kept in range(STEP, dimensions, STEP):
        more = rotated[:, kept - STEP : kept]
        products += more @ more.T
        squares += np.einsum("ij,ij->i", more, more)
        tails = np.sqrt(np.maximum(1 - squares, 0))
        reach = np.count_nonzero(products + np.outer(tails, tails) >= 1 - eps)
        yield kept, (reach - count) / (count * (count - 1))
