"""What the detector answers. The ingress and the jobs read this without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FoundObject:
    """`box` is (left, top, right, bottom) in shares of the picture's width and height, 0–1."""

    label: str
    box: tuple[float, float, float, float]
