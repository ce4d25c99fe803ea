"""One to five separate things side by side, and the box of each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from training.drawing.chance import Box, Rng, between, canvas_size, maybe, pick
from training.drawing.colours import NAMED, Colour, named
from training.drawing.effects import Size, light_map, lit
from training.drawing.families.drawings import drawing_colour, ground, shadow, textured, turned

NAMES = ("circle", "star", "square", "triangle", "heart", "car", "house", "tree", "flower", "cup", "fish")
MOST = 5
# The longer edge of a thing as a share of the picture's shorter side, from and to, by the number of things
EXTENTS = {1: (0.34, 0.72), 2: (0.3, 0.52), 3: (0.25, 0.44), 4: (0.22, 0.38), 5: (0.2, 0.34)}
REPEATED = 0.4  # of the things after the first, those with the name of an earlier one
APART = 150  # least difference between the colours of a thing and its ground, summed over the channels
GAP = 3  # least distance between two things in pixels
DRAWN, STOCKED = 192, 112  # side in pixels at which things are drawn, alone and for a stock, before they are scaled


class Thing(NamedTuple):
    """One thing: its name, the name of its colour, and the box of its visible part in pixels."""

    name: str
    colour: str
    box: Box


class Arrangement(NamedTuple):
    """An RGB picture before its camera effects, and the things in it."""

    image: Image.Image
    things: tuple[Thing, ...]


class Sprite(NamedTuple):
    """A thing cut out along its edges.

    Attributes:
        colour: the name of its colour; `shade` is the colour itself.
        solid: whether it has texture and throws a shadow.
        image: RGBA.
    """

    name: str
    colour: str
    shade: Colour
    solid: bool
    image: Image.Image


class Stock(NamedTuple):
    """Sprites by name, and grounds to put them on, drawn once for many pictures."""

    sprites: dict[str, tuple[Sprite, ...]]
    grounds: tuple[Image.Image, ...]


def sprite(rng: Rng, name: str, side: int = DRAWN) -> Sprite:
    """Draw one thing in a square of `side` pixels and cut it out."""
    colour, shade = drawing_colour(rng, name)
    margin = side // 4
    canvas = side + 2 * margin
    layer = turned(rng, (canvas, canvas), name, shade, (margin, margin, margin + side, margin + side))
    mask, solid = layer.getchannel("A"), maybe(rng, 0.45)
    if solid:
        layer = textured(rng, layer.convert("RGB"), mask)
        layer.putalpha(mask)
    return Sprite(name, colour, shade, solid, layer.crop(mask.point(lambda alpha: 255 * (alpha > 96)).getbbox()))


def stocked(rng: Rng, each: int, grounds: int) -> Stock:
    """Draw `each` sprites of every name, and `grounds` grounds."""
    sprites = {name: tuple(sprite(rng, name, STOCKED) for _ in range(each)) for name in NAMES}
    return Stock(sprites, tuple(_ground(rng, (320, 320)) for _ in range(grounds)))


def joined(stocks: Sequence[Stock]) -> Stock:
    """Several stocks as one."""
    sprites = {name: tuple(one for stock in stocks for one in stock.sprites[name]) for name in NAMES}
    return Stock(sprites, tuple(ground for stock in stocks for ground in stock.grounds))


def arranged(rng: Rng, count: int | None = None, stock: Stock | None = None) -> Arrangement:
    """Arrange one to five things of random names and colours within a picture, side by side.

    Args:
        count: number of things; None: any.
        stock: where to take sprites and grounds from, which is faster; None: draw new ones.
    """
    count = count or int(rng.integers(1, MOST + 1))
    size = canvas_size(rng)
    image = _ground(rng, size) if stock is None else _piece(rng, pick(rng, stock.grounds), size)
    things: list[Thing] = []
    for one in _chosen(rng, count, _tone(image), stock):
        box = _free(rng, size, _fitted(rng, one.image.size, count, min(size)), [thing.box for thing in things])
        things.append(Thing(one.name, one.colour, _paste(rng, image, one, box)))
    if maybe(rng, 0.2):
        image = lit(image, light_map(rng, size, 0.12))
    return Arrangement(image, tuple(things))


def _ground(rng: Rng, size: Size) -> Image.Image:
    return ground(rng, size, named(rng, pick(rng, tuple(NAMED))))


def _piece(rng: Rng, whole: Image.Image, size: Size) -> Image.Image:
    shrink = max(1.0, size[0] / whole.width, size[1] / whole.height)
    width, height = int(size[0] / shrink), int(size[1] / shrink)
    x, y = int(rng.integers(whole.width - width + 1)), int(rng.integers(whole.height - height + 1))
    return whole.resize(size, Image.Resampling.BILINEAR, (x, y, x + width, y + height))


def _tone(image: Image.Image) -> Colour:
    red, green, blue = np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0].tolist()
    return red, green, blue


def _chosen(rng: Rng, count: int, behind: Colour, stock: Stock | None) -> list[Sprite]:
    """Things that stand out from their ground. Some repeat the name of an earlier one, half of those also its look."""
    chosen: list[Sprite] = []
    for _ in range(count):
        like = pick(rng, chosen) if chosen and maybe(rng, REPEATED) else None
        if like is not None and maybe(rng, 0.5):
            chosen.append(like)
        else:
            chosen.append(_standing_out(rng, like.name if like else pick(rng, NAMES), behind, stock))
    return chosen


def _standing_out(rng: Rng, name: str, behind: Colour, stock: Stock | None) -> Sprite:
    for _ in range(20):
        one = sprite(rng, name) if stock is None else pick(rng, stock.sprites[name])
        if sum(abs(a - b) for a, b in zip(one.shade, behind, strict=True)) > APART:
            break
    return one


def _fitted(rng: Rng, size: Size, count: int, short: int) -> tuple[float, float]:
    """Width and height of a thing in a picture of `count` things whose shorter side is `short`; its shape is kept."""
    scale = between(rng, *EXTENTS[count]) * short / max(size)
    return size[0] * scale, size[1] * scale


def _free(rng: Rng, size: Size, extent: tuple[float, float], taken: list[Box]) -> Box:
    """A box of this width and height in a free place; where there is none, a smaller one."""
    width, height = extent
    while True:
        for _ in range(20):
            x, y = between(rng, 0, size[0] - width), between(rng, 0, size[1] - height)
            box = (x, y, x + width, y + height)
            if all(_apart(box, other) for other in taken):
                return box
        width, height = width * 0.93, height * 0.93


def _apart(one: Box, other: Box) -> bool:
    return any(one[axis] > other[axis + 2] + GAP or other[axis] > one[axis + 2] + GAP for axis in (0, 1))


def _paste(rng: Rng, image: Image.Image, one: Sprite, box: Box) -> Box:
    """Paste a sprite into a box of the picture, half of them mirrored; returns the box in whole pixels."""
    x, y, width, height = round(box[0]), round(box[1]), round(box[2] - box[0]), round(box[3] - box[1])
    thing = one.image.resize((width, height), Image.Resampling.BILINEAR)
    if maybe(rng, 0.5):
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mask = thing.getchannel("A")
    if one.solid:
        offset = round(max(width, height) * 0.05)
        image.paste((0, 0, 0), (x + offset, y + offset), shadow(mask))
    image.paste(thing, (x, y), mask)
    return x, y, x + width, y + height
