"""What the detector answers. The ingress and the jobs read this without torch."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FoundObject:
    """`box` is (left, top, right, bottom) in shares of the picture's width and height, 0–1."""

    label: str
    box: tuple[float, float, float, float]


def counts(found: Iterable[FoundObject]) -> dict[str, int]:
    """How many objects there are of each label, by label."""
    return dict(sorted(Counter(thing.label for thing in found).items()))
