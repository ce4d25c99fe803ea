"""Pictures that are composed well or badly by a formula, which is not meant to be taste.

A picture shows one subject in front of a sky and a ground. Seven parts of its composition, each 0–1, make its score:

    score = 1 + 9 × Σ WEIGHTS[part] × part

- placement: the middle of the subject lies on one of the four points that divide the picture in thirds (1); falls to 0
  at a quarter of the side away from all of them. In a symmetric picture the point is any on the axis of symmetry
- wholeness: how much of the subject's width and height lies within the frame, from 60 % (0) to all (1)
- horizon: its distance from the middle of the picture, from none (0) to a sixth of the side (1)
- level: the tilt of the horizon, from 9° (0) to none (1)
- harmony: the hues of subject and surroundings are neighbours (30° apart) or opposites (180°) (1), or in between (0)
- calm: the number of things that clutter the picture, from 16 (0) to none (1)
- contrast: the difference in brightness of subject and surroundings, from hardly any (0) to more than half (1)

The pictures are square, because NIMA sees only the centre square of a picture.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from training.drawing.chance import Box, Point, Rng, between, maybe, pick
from training.drawing.colours import Colour, from_hsv
from training.drawing.effects import Size, blurred, clouds, light_map, lit, mottle, rounded

WEIGHTS = {
    "placement": 0.25, "wholeness": 0.15, "horizon": 0.1, "level": 0.1, "harmony": 0.15, "calm": 0.15, "contrast": 0.1,
}  # fmt: skip
SMALLEST, LARGEST = 224, 320  # side in pixels
MOST_CLUTTER = 16
STEEPEST = 9.0  # degrees
SPREAD = 0.3  # standard deviation of the parts of one picture around the care of its photographer, see `compose`
THIRDS = tuple((x, y) for x in (1 / 3, 2 / 3) for y in (1 / 3, 2 / 3))


class ComposedScene(NamedTuple):
    """An RGB picture and the score of its composition, 1–10."""

    image: Image.Image
    score: float


@dataclass(frozen=True)
class Composition:
    """How a picture is composed. Lengths are shares of the picture's side, angles are degrees.

    Attributes:
        centre, extent: the middle of the subject, and its width and height.
        mirrored: whether the surroundings are symmetric.
        skyline: distance of the horizon's middle from the top.
        tilt: of the horizon.
        hues: of the surroundings and of the subject.
        clutter: number of other things.
        tones: brightness (0–1) of the surroundings and of the subject.
    """

    centre: Point
    extent: tuple[float, float]
    mirrored: bool
    skyline: float
    tilt: float
    hues: tuple[float, float]
    clutter: int
    tones: tuple[float, float]

    def parts(self) -> dict[str, float]:
        """Each part of the score, 0–1."""
        inside = [_inside(c - e / 2, c + e / 2) / e for c, e in zip(self.centre, self.extent, strict=True)]
        apart = abs((self.hues[1] - self.hues[0] + 180) % 360 - 180)
        parts = {
            "placement": 1 - self.displacement() / 0.25,
            "wholeness": (min(inside) - 0.6) / 0.4,
            "horizon": abs(self.skyline - 0.5) * 6,
            "level": 1 - abs(self.tilt) / STEEPEST,
            "harmony": abs(apart - 105) / 75,
            "calm": 1 - self.clutter / MOST_CLUTTER,
            "contrast": (abs(self.tones[1] - self.tones[0]) - 0.08) / 0.47,
        }
        return {name: min(1.0, max(0.0, value)) for name, value in parts.items()}

    def displacement(self) -> float:
        """The distance of the subject from the nearest good place."""
        if self.mirrored:
            return abs(self.centre[0] - 0.5)
        return min(float(np.hypot(self.centre[0] - x, self.centre[1] - y)) for x, y in THIRDS)

    def score(self) -> float:
        """The score, 1–10."""
        parts = self.parts()
        return 1 + 9 * sum(weight * parts[name] for name, weight in WEIGHTS.items())


def _inside(low: float, high: float) -> float:
    return max(0.0, min(1.0, high) - max(0.0, low))


def composed(rng: Rng) -> ComposedScene:
    """Draw a picture with a random score."""
    composition = compose(rng)
    return ComposedScene(draw(rng, composition), composition.score())


def compose(rng: Rng) -> Composition:
    """A random composition.

    First a photographer's care is drawn, 0–1, then every part near it. So scores spread over the whole scale: were the
    parts independent, most scores would lie in the middle.
    """
    care = between(rng, 0, 1)
    wish = {name: float(np.clip(rng.normal(care, SPREAD), 0, 1)) for name in WEIGHTS}
    mirrored = maybe(rng, 0.15)
    away = 30 + 75 * (1 - wish["harmony"]) if maybe(rng, 0.5) else 180 - 75 * (1 - wish["harmony"])
    hue, side = between(rng, 0, 360), pick(rng, (-1, 1))
    gap = 0.08 + 0.47 * wish["contrast"]
    dark = between(rng, 0.2, 0.92 - gap)
    tones = (dark, dark + gap) if maybe(rng, 0.5) else (dark + gap, dark)
    wide = between(rng, 0.16, 0.3)
    extent = (wide, wide * between(rng, 0.8, 1.5))
    return Composition(
        _place(rng, wish, extent, mirrored),
        extent,
        mirrored,
        0.5 + side * wish["horizon"] / 6,
        0.0 if mirrored else pick(rng, (-1, 1)) * STEEPEST * (1 - wish["level"]),
        (hue, hue + pick(rng, (-1, 1)) * away),
        round(MOST_CLUTTER * (1 - wish["calm"])),
        tones,
    )


def _place(rng: Rng, wish: dict[str, float], extent: tuple[float, float], mirrored: bool) -> Point:
    """The place for the subject, of 300 random ones, that comes nearest to the wished placement and wholeness."""
    best, least = (0.5, 0.5), np.inf
    for x, y in rng.uniform(0.02, 0.98, (300, 2)).tolist():
        parts = Composition((x, y), extent, mirrored, 0.5, 0, (0, 0), 0, (0, 0)).parts()
        miss = abs(parts["placement"] - wish["placement"]) + abs(parts["wholeness"] - wish["wholeness"])
        if miss < least:
            best, least = (x, y), miss
    return best


def draw(rng: Rng, composition: Composition) -> Image.Image:
    """The picture of a composition, RGB."""
    side = int(rng.integers(SMALLEST, LARGEST))
    size = (side, side)
    image = _surroundings(rng, size, composition)
    for _ in range(composition.clutter):
        _litter(rng, image, composition)
    if composition.mirrored:
        left = image.crop((0, 0, side // 2, side))
        image.paste(ImageOps.mirror(left), (side - side // 2, 0))
    hue, tone = composition.hues[1], composition.tones[1]
    (x, y), (wide, high) = composition.centre, composition.extent
    box = tuple(side * value for value in (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2))
    mask = _shape(rng, size, (box[0], box[1], box[2], box[3]))
    filled = Image.new("RGB", size, _colour(hue, tone))
    image.paste(lit(filled, 0.75 + 0.35 * rounded(rng, mask, 0.3)), mask=blurred(mask, 0.7))
    return mottle(rng, image, 0.04, 40)


def _colour(hue: float, tone: float, vividness: float = 0.6) -> Colour:
    """A colour whose largest channel is `tone` (0–1)."""
    return from_hsv(hue, vividness, tone)


def _surroundings(rng: Rng, size: Size, composition: Composition) -> Image.Image:
    """Sky and ground in one hue, the ground a little darker and rougher, and the horizon between them."""
    hue, tone = composition.hues[0], composition.tones[0]
    side = size[0]
    above, below = _colour(hue, min(1.0, tone * 1.12), 0.4), _colour(hue, tone * 0.85, 0.6)
    image = clouds(rng, size, (_colour(hue, tone, 0.45), above), between(rng, 1.5, 4), 3)
    ground = clouds(rng, size, (below, _colour(hue, tone * 0.98, 0.6)), between(rng, 6, 20), 3)
    rise = np.tan(np.radians(composition.tilt)) / 2
    line = [(0.0, side * (composition.skyline - rise)), (float(side), side * (composition.skyline + rise))]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([*line, (side, side), (0, side)], fill=255)
    image.paste(ground, mask=mask)
    ImageDraw.Draw(image).line(line, fill=_colour(hue, tone * 0.6), width=max(2, side // 110))
    return lit(image, light_map(rng, size, between(rng, 0, 0.08)))


def _litter(rng: Rng, image: Image.Image, composition: Composition) -> None:
    """One small thing somewhere, in the hue of the surroundings."""
    side = image.width
    tone = float(np.clip(composition.tones[0] + pick(rng, (-1, 1)) * between(rng, 0.12, 0.3), 0.05, 1))
    x, y, r = between(rng, 0, side), between(rng, 0, side), side * between(rng, 0.015, 0.04)
    fill = _colour(composition.hues[0] + between(rng, -15, 15), tone)
    draw = ImageDraw.Draw(image)
    kind = int(rng.integers(3))
    if kind == 0:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    elif kind == 1:
        draw.rectangle((x - r, y - r * 1.6, x + r, y + r * 1.6), fill=fill)
    else:
        draw.line((x - 2 * r, y, x + 2 * r, y + between(rng, -2, 2) * r), fill=fill, width=max(2, side // 90))


def _shape(rng: Rng, size: Size, box: Box) -> Image.Image:
    """The mask of the subject, which is symmetric: a ball, a tree, a tower, a tent or a standing figure."""
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    left, top, right, bottom = box
    wide, high, middle = right - left, bottom - top, (left + right) / 2
    kind = int(rng.integers(5))
    if kind == 0:
        pen.ellipse(box, fill=255)
    elif kind == 1:
        pen.rectangle((middle - wide * 0.09, top + high * 0.5, middle + wide * 0.09, bottom), fill=255)
        pen.ellipse((left, top, right, top + high * 0.7), fill=255)
    elif kind == 2:
        pen.rectangle((left + wide * 0.15, top + high * 0.35, right - wide * 0.15, bottom), fill=255)
        pen.polygon([(left, top + high * 0.4), (middle, top), (right, top + high * 0.4)], fill=255)
    elif kind == 3:
        pen.polygon([(left, bottom), (middle, top), (right, bottom)], fill=255)
    else:
        pen.ellipse((middle - wide * 0.28, top, middle + wide * 0.28, top + high * 0.36), fill=255)
        pen.polygon([(middle, top + high * 0.3), (right, bottom), (left, bottom)], fill=255)
    return mask
