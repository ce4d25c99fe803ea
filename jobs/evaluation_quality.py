"""Pictures to measure the bundled photo analysis on: drawn from seeds that training cannot draw from.

Each generator gives the same pictures for the same count and seed, balanced over what is asked.
"""

from collections.abc import Iterator

from jobs.drawing.composition import ComposedScene, composed
from jobs.drawing.distortions import KINDS
from jobs.drawing.faces import EMOTIONS, Face, draw_face
from jobs.quality_scenes import DegradedScene, degraded
from jobs.scenes import Split, generator


def degraded_scenes(count: int, seed: int) -> Iterator[DegradedScene]:
    """Scenes spoilt to any severity (0–1): the kinds of distortion in turn, each of a scene of its own."""
    for index in range(count):
        yield degraded(generator(Split.EVALUATION, seed, index), KINDS[index % len(KINDS)])


def composed_scenes(count: int, seed: int) -> Iterator[ComposedScene]:
    """Pictures and how well they are composed (1–10), as jobs/drawing/composition.py understands it."""
    for index in range(count):
        yield composed(generator(Split.EVALUATION, seed, index))


def drawn_faces(count: int, seed: int) -> Iterator[Face]:
    """Frontal faces: the seven emotions in turn."""
    for index in range(count):
        yield draw_face(generator(Split.EVALUATION, seed, index), EMOTIONS[index % len(EMOTIONS)])
