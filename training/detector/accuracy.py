"""What a detector got right: names and numbers of the things in a picture, and the overlap of their boxes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from training.drawing.chance import Box
from training.drawing.families.arrangement import Thing

Found = tuple[str, Box]  # the name and the box, in pixels, that a detector gave


@dataclass
class DetectorAccuracy:
    """Scenes and right answers by the number of things, and the overlap (0–1) of each matched pair of boxes.

    An answer is right when it names every thing as often as it is there, and nothing else.
    """

    scenes: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    overlaps: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """The share (0–1) of right answers."""
        return self.right.total() / max(1, self.scenes.total())

    @property
    def overlap(self) -> float:
        """The mean overlap (0–1) of the matched boxes."""
        return sum(self.overlaps) / max(1, len(self.overlaps))

    def add(self, things: Sequence[Thing], found: Sequence[Found]) -> None:
        """Count one scene."""
        self.scenes[len(things)] += 1
        self.right[len(things)] += Counter(thing.name for thing in things) == Counter(name for name, _ in found)
        self.overlaps += matched(things, found)

    def rows(self) -> dict[str, str]:
        """The figures of the card."""
        shares = {
            f"right answers to {count} object{'s' if count > 1 else ''}": f"{100 * self.right[count] / scenes:.1f} %"
            for count, scenes in sorted(self.scenes.items())
        }
        return {
            "right answers": f"{100 * self.accuracy:.1f} %",
            **shares,
            "mean overlap of boxes": f"{self.overlap:.2f}",
        }


def matched(things: Sequence[Thing], found: Sequence[Found]) -> list[float]:
    """The overlaps of things with found boxes of the same name; the best pairs first, each thing and box only once."""
    pairs = [
        (overlap(thing.box, box), mine, theirs)
        for mine, thing in enumerate(things)
        for theirs, (name, box) in enumerate(found)
        if name == thing.name
    ]
    overlaps: list[float] = []
    taken: set[tuple[str, int]] = set()
    for share, mine, theirs in sorted(pairs, reverse=True):
        ends = {("thing", mine), ("box", theirs)}
        if not ends & taken:
            taken |= ends
            overlaps.append(share)
    return overlaps


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0–1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0
