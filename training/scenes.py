"""The scenes that the bundled models are trained and measured on: each is drawn from a seed.

Every scene comes from `draw_scene`. Training and evaluation draw from separate families of seeds (`Split`), so that
no scene of one can appear in the other, whatever the seed or the number of scenes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Literal

import numpy as np
from PIL import Image

from training.drawing import objects
from training.drawing.chance import Rng, Sketch, pick
from training.drawing.effects import camera
from training.drawing.families import aerial, charts, drawings, maps, pages, photos, signs, views
from training.drawing.families.arrangement import MOST, Arrangement, arranged

Category = Literal["maps", "aerial_satellite", "miscellaneous"]
CATEGORIES: tuple[Category, ...] = ("maps", "aerial_satellite", "miscellaneous")
# Photographs of grass, fur and leaves fill the picture with texture, as aerial views do.
LIKE_AERIAL_VIEWS = ("animal", "lawn", "perched", "overlap")


class Split(IntEnum):
    """What a scene is drawn for. It is part of the scene's seed."""

    TRAINING = 1
    EVALUATION = 2


@dataclass(frozen=True)
class Scene:
    """A drawn picture and what is true of it.

    Attributes:
        image: RGB, the shorter side 60–400 pixels.
        kind: the one of KINDS that drew it.
        category: the right answer of /classify.
        label: the one of /categorize's default categories that it shows, if any.
        captions: every caption of the training vocabulary that is true of it.
    """

    image: Image.Image
    kind: str
    category: Category
    label: str | None
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A family of scenes.

    Attributes:
        weight: how often it comes up, relative to the other kinds of its category.
    """

    category: Category
    draw: Callable[[Rng], Sketch]
    weight: float = 1


def _kinds() -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    weights = {"carto": 5, "atlas": 2, "pale": 1, "dark": 1, "plain": 1}
    for style, weight in weights.items():
        kinds[f"map/{style}"] = Kind("maps", partial(maps.street_map, style_name=style), weight)
    for name, chart in (
        ("transit", charts.transit_map),
        ("topographic", charts.topographic_map),
        ("region", charts.region_map),
        ("sketch", charts.sketch_map),
    ):
        kinds[f"map/{name}"] = Kind("maps", chart)
    for ground in aerial.GROUNDS:
        kinds[f"aerial/{ground}"] = Kind("aerial_satellite", partial(aerial.aerial_view, ground=ground))
    kinds["aerial/mosaic"] = Kind("aerial_satellite", aerial.satellite_mosaic, 2)
    kinds["page"] = Kind("miscellaneous", pages.text_page, 2.5)
    kinds["sign"] = Kind("miscellaneous", signs.traffic_sign, 2.5)
    for name in (*objects.SHAPES, *objects.THINGS):
        kinds[f"drawing/{name}"] = Kind(
            "miscellaneous", partial(drawings.drawing, name=name), 1.5 if name in drawings.LABELLED else 0.5
        )
    kinds["drawing/several"] = Kind("miscellaneous", drawings.several, 2)
    for name, photo in (photos.SUBJECTS | views.VIEWS).items():
        kinds[f"photo/{name}"] = Kind("miscellaneous", photo, 3 if name in LIKE_AERIAL_VIEWS else 1.4)
    return kinds


KINDS = _kinds()


def generator(split: Split, seed: int, index: int) -> Rng:
    """The random numbers of one scene: always the same for these arguments, independent of any others'."""
    # A spawn key and no sum or product of the three: NumPy keeps the streams of different keys independent
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(split), index)))


def kinds_of(category: Category) -> tuple[str, ...]:
    """The kinds that belong to a category of /classify."""
    return tuple(name for name, kind in KINDS.items() if kind.category == category)


def random_kind(rng: Rng, category: Category) -> str:
    """A kind of this category, drawn by weight."""
    names = kinds_of(category)
    weights = np.array([KINDS[name].weight for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def draw_scene(seed: int | Rng, kind: str | None = None) -> Scene:
    """Draw one scene.

    Args:
        seed: a number, or the generator to take the random numbers from.
        kind: one of KINDS; None: a kind of any category, the categories equally often.

    Returns:
        The scene: always the same one for the same seed and kind.
    """
    rng = np.random.default_rng(seed) if isinstance(seed, int) else seed
    kind = kind or random_kind(rng, pick(rng, CATEGORIES))
    sketch = KINDS[kind].draw(rng)
    return Scene(camera(rng, sketch.image.convert("RGB")), kind, KINDS[kind].category, sketch.label, sketch.captions)


def grouped(kinds: Iterable[str], group_of: Callable[[str], str]) -> dict[str, list[str]]:
    """The kinds of each group, the groups in the order in which they first come up."""
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        groups.setdefault(group_of(kind), []).append(kind)
    return groups


def scene_in_turn(groups: Mapping[str, Sequence[str]], split: Split, seed: int, index: int) -> Scene:
    """The scene number `index` of a series in which the groups take turns, and in each group its kinds.

    Args:
        groups: the kinds of each group.
    """
    names = tuple(groups)
    kinds = groups[names[index % len(names)]]
    return draw_scene(generator(split, seed, index), kinds[index // len(names) % len(kinds)])


def fresh_arrangements(count: int, seed: int) -> Iterator[Arrangement]:
    """Pictures of one to five things in turn, as a camera takes them, which training has not seen."""
    for index in range(count):
        rng = generator(Split.EVALUATION, seed, index)
        arrangement = arranged(rng, 1 + index % MOST)
        yield Arrangement(camera(rng, arrangement.image), arrangement.things)
