"""Scenes to measure a CLIP on: drawn from seeds that training cannot draw from, balanced over what is asked."""

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from training.drawing.chance import pick
from training.drawing.colours import named
from training.drawing.effects import camera
from training.drawing.families import drawings
from training.scenes import CATEGORIES, Scene, Split, draw_scene, generator, kinds_of

LABEL_KINDS: dict[str, tuple[str, ...]] = {
    "a street map": ("map/carto", "map/atlas", "map/pale", "map/dark", "map/plain"),
    "an aerial photo": kinds_of("aerial_satellite"),
    "a page of text": ("page",),
    "a traffic sign": ("sign",),
    **{drawings.with_article(name): (f"drawing/{name}",) for name in drawings.LABELLED},
}
COLOUR_SHAPES = ("circle", "star", "square", "triangle", "heart")
# Colours that stay apart in either channel order, so that swapped channels give a wrong answer and not a vague one
COLOUR_CHOICES = ("red", "orange", "yellow", "green", "blue", "purple")


@dataclass(frozen=True)
class ColourCase:
    """A picture of one coloured shape, a caption for every colour it could have, and the index of the right one."""

    image: Image.Image
    captions: tuple[str, ...]
    answer: int


def fresh_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes for /classify: the three categories in turn, the kinds of each in turn.

    Training draws from `Split.TRAINING`, so no count and no seed of the two can meet.
    """
    for index in range(count):
        category = CATEGORIES[index % len(CATEGORIES)]
        kinds = kinds_of(category)
        kind = kinds[index // len(CATEGORIES) % len(kinds)]
        yield draw_scene(generator(Split.EVALUATION, seed, index), kind)


def labelled_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes for /categorize: the twelve default categories in turn; every scene has its `label`."""
    labels = tuple(LABEL_KINDS)
    for index in range(count):
        kinds = LABEL_KINDS[labels[index % len(labels)]]
        yield draw_scene(generator(Split.EVALUATION, seed, index), kinds[index // len(labels) % len(kinds)])


def colour_cases(count: int, seed: int) -> Iterator[ColourCase]:
    """Shapes in the six COLOUR_CHOICES in turn, each with the captions "a red circle", "an orange circle", …

    A model that gets its channels in the wrong order takes red for blue and fails here.
    """
    for index in range(count):
        rng = generator(Split.EVALUATION, seed, index)
        shape, answer = pick(rng, COLOUR_SHAPES), index % len(COLOUR_CHOICES)
        name = COLOUR_CHOICES[answer]
        sketch = drawings.in_colour(rng, shape, name, named(rng, name))
        captions = tuple(drawings.with_article(f"{colour} {shape}") for colour in COLOUR_CHOICES)
        yield ColourCase(camera(rng, sketch.image), captions, answer)
