"""The answer of the detector. The ingress and the jobs import it without torch."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FoundObject:
    """`box` is (left, top, right, bottom) as fractions of the picture's width and height, 0–1."""

    label: str
    box: tuple[float, float, float, float]


def counts(found: Iterable[FoundObject]) -> dict[str, int]:
    """The number of objects of each label, sorted by label."""
    return dict(sorted(Counter(thing.label for thing in found).items()))
