"""The classes of the bundled tagger, and the scenes of each."""

from collections.abc import Iterator

from training.drawing.wording import class_of
from training.scenes import KINDS, Scene, Split, grouped, scene_in_turn

SEVERAL = "drawing/several"  # has no class of its own: it shows the things that other classes show
KINDS_OF = grouped((kind for kind in KINDS if kind != SEVERAL), class_of)
CLASSES = tuple(KINDS_OF)


def fresh_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes that training has not seen: the classes in turn, and the kinds of each in turn."""
    for index in range(count):
        yield scene_in_turn(KINDS_OF, Split.EVALUATION, seed, index)
