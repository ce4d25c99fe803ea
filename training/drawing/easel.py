"""Painting with soft edges in a drawing's own coordinates, so that the drawing can be scaled and turned as a whole."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from training.drawing.chance import Point
from training.drawing.colours import Colour

Points = NDArray[np.floating]


class Easel:
    """An RGB image, and where a drawing lies on it.

    A point (u, v) of the drawing lies u × `scale` pixels to the right of `centre` and v × `scale` pixels below it; the
    whole is turned by `turn` radians around `centre`.
    """

    def __init__(self, image: Image.Image, centre: Point, scale: float, turn: float = 0) -> None:
        self.image, self.centre, self.scale = image, np.array(centre), scale
        self._turn = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    def pixels(self, points: Points) -> Points:
        """Points (n, 2) of the drawing -> pixels (n, 2) of the image."""
        return np.asarray(points @ self._turn * self.scale + self.centre)

    def area(
        self, outline: Points, colour: Colour, opacity: float = 1, soft: float = 0.01, within: Points | None = None
    ) -> None:
        """Fill a polygon.

        Args:
            outline: its corners, (n, 2).
            opacity: 0–1.
            soft: the width over which the edge fades.
            within: a polygon outside which nothing is painted.
        """
        corners = self.pixels(outline)
        self._paint(corners, colour, opacity, soft, None, within)

    def stroke(self, line: Points, width: float, colour: Colour, opacity: float = 1, soft: float = 0.01) -> None:
        """Draw a line along points (n, 2)."""
        self._paint(self.pixels(line), colour, opacity, soft, width, None)

    def oval(
        self, centre: Point, radii: Point, colour: Colour, opacity: float = 1, soft: float = 0.01,
        within: Points | None = None,
    ) -> None:  # fmt: skip
        """Fill an ellipse; the other arguments are those of `area`."""
        self.area(ellipse(centre, radii), colour, opacity, soft, within)

    def _paint(
        self, corners: Points, colour: Colour, opacity: float, soft: float, width: float | None, within: Points | None
    ) -> None:
        # Mask and blur only the part of the image that changes: most strokes are small
        margin = 2 + 3 * soft * self.scale + (width or 0) * self.scale
        low = np.floor(np.maximum(corners.min(axis=0) - margin, 0)).astype(int)
        high = np.ceil(np.minimum(corners.max(axis=0) + margin, self.image.size)).astype(int)
        if (high <= low).any():
            return
        mask = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])))
        ink = round(255 * opacity)
        local = _flat(corners - low)
        if width is None:
            ImageDraw.Draw(mask).polygon(local, fill=ink)
        else:
            ImageDraw.Draw(mask).line(local, fill=ink, width=max(1, round(width * self.scale)), joint="curve")
        mask = mask.filter(ImageFilter.GaussianBlur(max(0.6, soft * self.scale)))
        if within is not None:
            window = Image.new("L", mask.size)
            ImageDraw.Draw(window).polygon(_flat(self.pixels(within) - low), fill=255)
            mask = ImageChops.multiply(mask, window)
        self.image.paste(colour, (int(low[0]), int(low[1])), mask)


def curve(first: Point, middle: Point, last: Point, count: int = 14) -> Points:
    """Points (count, 2) on the parabola through three points."""
    t = np.linspace(0, 1, count)[:, None]
    ends = (1 - t) * (1 - 2 * t) * np.array(first) + t * (2 * t - 1) * np.array(last)
    return np.asarray(ends + 4 * t * (1 - t) * np.array(middle))


def ellipse(centre: Point, radii: Point, count: int = 40) -> Points:
    """Points (count, 2) on an ellipse."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(t), centre[1] + radii[1] * np.sin(t)], axis=1)


def mirrored(points: Points, side: int) -> Points:
    """The points as they are (side 1), or mirrored to the left half of the drawing (side -1)."""
    return np.asarray(points * (side, 1))


def _flat(points: Points) -> list[Point]:
    return [(float(x), float(y)) for x, y in points]
