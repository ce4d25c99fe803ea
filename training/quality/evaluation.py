"""Pictures to measure the bundled quality measures on, drawn from seeds that training cannot use.

Each function gives the same pictures for the same count and seed, with what is asked about in turn.
"""

from collections.abc import Iterator

from training.drawing.distortions import KINDS
from training.drawing.families.composition import ComposedScene, composed
from training.quality.scenes import DegradedScene, degraded
from training.scenes import Split, generator


def degraded_scenes(count: int, seed: int) -> Iterator[DegradedScene]:
    """Scenes spoilt to any severity (0–1), each a new one: the kinds of distortion in turn."""
    for index in range(count):
        yield degraded(generator(Split.EVALUATION, seed, index), KINDS[index % len(KINDS)])


def composed_scenes(count: int, seed: int) -> Iterator[ComposedScene]:
    """Pictures and how well they are composed (1–10) by the formula of training/drawing/families/composition.py."""
    for index in range(count):
        yield composed(generator(Split.EVALUATION, seed, index))
