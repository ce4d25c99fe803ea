"""Where a thing lies in the grid of cells into which a vision tower divides a picture."""

from typing import NamedTuple

from training.drawing.chance import Box


class Covered(NamedTuple):
    """The cells of one thing: the rows and columns that it covers, and the cell (row, column) of its middle."""

    rows: slice
    columns: slice
    middle: tuple[int, int]


def covered(box: Box) -> Covered:
    """The cells whose middles lie in a box, whose edges are given in cells; at least the cell of the box's middle."""
    left, top, right, bottom = box
    x, y = int((left + right) / 2), int((top + bottom) / 2)
    return Covered(
        rows=slice(min(y, round(top)), max(y + 1, round(bottom))),
        columns=slice(min(x, round(left)), max(x + 1, round(right))),
        middle=(y, x),
    )
