"""The answer of Text. The ingress and the jobs import it without its libraries."""

from dataclasses import dataclass, replace
from typing import Self

Point = tuple[float, float]
Quadrilateral = tuple[Point, Point, Point, Point]


@dataclass(frozen=True)
class TextLine:
    """A line of text.

    Attributes:
        text: the recognised text.
        confidence: the mean over its characters, 0–1.
        quadrilateral: its corners (x, y) in pixels of the picture, clockwise from the top left.
    """

    text: str
    confidence: float
    quadrilateral: Quadrilateral

    def scaled(self, factor: float) -> Self:
        """The same line in a picture `factor` times as large."""
        one, two, three, four = ((x * factor, y * factor) for x, y in self.quadrilateral)
        return replace(self, quadrilateral=(one, two, three, four))
