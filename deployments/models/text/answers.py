"""The answer of Text. The ingress and the jobs import it without its libraries."""

from dataclasses import dataclass

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
