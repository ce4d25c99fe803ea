"""What the bundled captioner is measured on: pictures of counted things, and scenes of other kinds."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from training.drawing.wording import Group, groups, scene_caption
from training.scenes import KINDS, fresh_arrangements, grouped

FEW = 3  # things: up to so many the captions are mostly right
# The kinds of scene that are not drawings of things, by their caption
KINDS_OF = grouped((kind for kind in KINDS if not kind.startswith("drawing/")), scene_caption)
CAPTIONS = tuple(KINDS_OF)


class CaptionedScene(NamedTuple):
    """A picture of things, and how many there are of each name and colour."""

    image: Image.Image
    counts: Counter[Group]


def fresh_pictures(count: int, seed: int) -> Iterator[CaptionedScene]:
    """Pictures of one to five things in turn, which training has not seen."""
    for image, things in fresh_arrangements(count, seed):
        yield CaptionedScene(image, groups(things))
