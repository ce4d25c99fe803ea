"""The shape in which a frame is shown: upright, and of square pixels."""

from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData
from PIL import Image

# The transposition that makes a frame upright, by its rounded display matrix (a, b, c, d): the frame's x axis points to
# (a, b), its y axis to (c, d).
UPRIGHT = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
# By degrees counterclockwise.
TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}


def shown_width(width: int, aspect: Fraction | None) -> int:
    """The width of a frame, as it is stored, in square pixels; `aspect` is the width of a pixel by its height."""
    return max(1, round(width * aspect)) if aspect else width


def turn(frame: Any) -> Image.Transpose | None:
    """How a frame of PyAV is made upright; None if it is."""
    try:
        # Not `frame.side_data`: a frame keeps that, and is then freed only by the garbage collector.
        matrix = SideDataContainer(frame).get(SideData.DISPLAYMATRIX)  # type: ignore[call-arg]
    except ValueError:  # the frame also has data of a kind that PyAV does not name, such as Exif
        return TURNS.get(frame.rotation)
    if matrix is None:
        return None
    a, b, _, c, d = (round(value / (1 << 16)) for value in np.frombuffer(matrix, np.int32)[:5])
    return UPRIGHT.get((a, b, c, d))
