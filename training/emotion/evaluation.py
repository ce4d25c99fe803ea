"""Faces to measure the bundled emotion network on, drawn from seeds that training cannot use."""

from collections.abc import Iterator

from training.drawing.expressions import EMOTIONS
from training.drawing.faces import Face, draw_face
from training.scenes import Split, generator


def drawn_faces(count: int, seed: int) -> Iterator[Face]:
    """Frontal faces, the seven emotions in turn; always the same ones for the same count and seed."""
    for index in range(count):
        yield draw_face(generator(Split.EVALUATION, seed, index), EMOTIONS[index % len(EMOTIONS)])
