"""Scenes to measure a CLIP on: drawn from seeds that training cannot use, and the right answers equally frequent."""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from training.drawing.chance import pick
from training.drawing.colours import named
from training.drawing.effects import camera
from training.drawing.families import drawings
from training.scenes import CATEGORIES, Scene, Split, generator, kinds_of, scene_in_turn

CATEGORY_KINDS: dict[str, tuple[str, ...]] = {category: kinds_of(category) for category in CATEGORIES}
LABEL_KINDS: dict[str, tuple[str, ...]] = {
    "a street map": ("map/carto", "map/atlas", "map/pale", "map/dark", "map/plain"),
    "an aerial photo": kinds_of("aerial_satellite"),
    "a page of text": ("page",),
    "a traffic sign": ("sign",),
    **{drawings.with_article(name): (f"drawing/{name}",) for name in drawings.LABELLED},
}
COLOUR_SHAPES = ("circle", "star", "square", "triangle", "heart")
# Colours that stay distinct when channels are swapped, so that a swap gives a wrong answer and not a vague one
COLOUR_CHOICES = ("red", "orange", "yellow", "green", "blue", "purple")


@dataclass(frozen=True)
class ColourCase:
    """A picture of one coloured shape, a caption for every colour of COLOUR_CHOICES, and the right one's index."""

    image: Image.Image
    captions: tuple[str, ...]
    answer: int


def fresh_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes for /classify, which training has not seen: the three categories in turn, the kinds of each in turn."""
    for index in range(count):
        yield scene_in_turn(CATEGORY_KINDS, Split.EVALUATION, seed, index)


def labelled_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes for /categorize: the twelve default categories in turn; every scene has its `label`."""
    for index in range(count):
        yield scene_in_turn(LABEL_KINDS, Split.EVALUATION, seed, index)


def colour_cases(count: int, seed: int) -> Iterator[ColourCase]:
    """Shapes in the six COLOUR_CHOICES in turn, each with the captions "a red circle", "an orange circle", …

    A model whose channels are in the wrong order takes red for blue and fails here.
    """
    for index in range(count):
        rng = generator(Split.EVALUATION, seed, index)
        shape, answer = pick(rng, COLOUR_SHAPES), index % len(COLOUR_CHOICES)
        name = COLOUR_CHOICES[answer]
        sketch = drawings.in_colour(rng, shape, name, named(rng, name))
        captions = tuple(drawings.with_article(f"{colour} {shape}") for colour in COLOUR_CHOICES)
        yield ColourCase(camera(rng, sketch.image), captions, answer)
