"""Pictures to measure the bundled photo analysis on: drawn from seeds that training cannot draw from.

Each generator gives the same pictures for the same count and seed, balanced over what is asked.
"""

from collections.abc import Iterator

from training.drawing.distortions import KINDS
from training.drawing.faces import EMOTIONS, Face, draw_face
from training.drawing.families.composition import ComposedScene, composed
from training.quality.scenes import DegradedScene, degraded
from training.scenes import Split, generator


def degraded_scenes(count: int, seed: int) -> Iterator[DegradedScene]:
    """Scenes spoilt to any severity (0–1): the kinds of distortion in turn, each of a scene of its own."""
    for index in range(count):
        yield degraded(generator(Split.EVALUATION, seed, index), KINDS[index % len(KINDS)])


def composed_scenes(count: int, seed: int) -> Iterator[ComposedScene]:
    """Pictures and how well they are composed (1–10), as training/drawing/families/composition.py understands it."""
    for index in range(count):
        yield composed(generator(Split.EVALUATION, seed, index))


def drawn_faces(count: int, seed: int) -> Iterator[Face]:
    """Frontal faces: the seven emotions in turn."""
    for index in range(count):
        yield draw_face(generator(Split.EVALUATION, seed, index), EMOTIONS[index % len(EMOTIONS)])
