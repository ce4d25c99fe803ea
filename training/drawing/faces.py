"""Frontal faces with an expression, shaded so that a face detector trained on photographs finds them.

Coordinates are in half a face's width: across, the face reaches from -1 to 1; its hairline is near -1 and its chin near
1.25, measured downwards.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from training.drawing.chance import Box, Rng, between, maybe, pick
from training.drawing.colours import Colour, any_colour, mix, shade, vary
from training.drawing.easel import Easel, curve, ellipse, mirrored
from training.drawing.effects import as_jpeg, clouds, light_map, lit
from training.drawing.expressions import EMOTIONS, Emotion, Expression, expression
from training.drawing.families.photos import backdrop

SKINS: tuple[Colour, ...] = (
    (250, 222, 200), (240, 200, 170), (228, 180, 146), (205, 152, 116), (175, 122, 88), (140, 94, 66), (112, 74, 54),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (28, 22, 20), (60, 42, 30), (96, 64, 40), (150, 104, 60), (200, 168, 110), (168, 166, 164), (130, 60, 34),
)  # fmt: skip
IRISES: tuple[Colour, ...] = ((60, 40, 26), (84, 58, 34), (70, 96, 110), (80, 100, 66), (40, 32, 28))
DARK: Colour = (24, 14, 14)
MOUTH = 0.72  # vertical position of the mouth
EYE = (0.42, -0.14)  # middle of the eye on the right side of the picture


class Face(NamedTuple):
    """An RGB picture of one face.

    Attributes:
        box: the square around the face in pixels, from hair to chin and as wide as the ears, about as OpenCV's
            detector finds it.
    """

    image: Image.Image
    emotion: Emotion
    box: Box


@dataclass(frozen=True)
class Looks:
    """What a person looks like.

    Attributes:
        jaw: how much the chin is narrower than the head, 0–1.
        brows: their thickness, in half a face's width.
        nose, lips: factors of their usual widths.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    bald: bool
    long_hair: bool
    jaw: float
    brows: float
    nose: float
    lips: float


def looks(rng: Rng) -> Looks:
    """A random person, of any skin and hair colour."""
    skin = vary(rng, pick(rng, SKINS), 8)
    return Looks(
        skin=skin,
        hair=vary(rng, pick(rng, HAIRS), 8),
        iris=pick(rng, IRISES),
        bald=maybe(rng, 0.1),
        long_hair=maybe(rng, 0.4),
        jaw=between(rng, 0.1, 0.3),
        brows=between(rng, 0.075, 0.12),
        nose=between(rng, 0.85, 1.2),
        lips=between(rng, 0.9, 1.15),
    )


def draw_face(rng: Rng, emotion: Emotion | None = None) -> Face:
    """Draw one face.

    Args:
        emotion: one of EMOTIONS; None: any.

    Returns:
        The face, whole, in a square picture of 200–320 pixels a side.
    """
    shown: Emotion = pick(rng, EMOTIONS) if emotion is None else emotion
    side = int(rng.integers(200, 321))
    image = background(rng, side)
    scale = side * between(rng, 0.24, 0.31)
    centre = (side * between(rng, 0.44, 0.56), side * between(rng, 0.47, 0.54))
    easel = Easel(image, centre, scale, between(rng, -0.1, 0.1))
    who, how = looks(rng), expression(rng, shown)
    _behind(rng, easel, who)
    _skin(easel, who, how)
    _nose(easel, who, how)
    _eyes(rng, easel, who, how)
    _brows(easel, who, how)
    _mouth(easel, who, how)
    if not who.bald:
        _fringe(rng, easel, who)
    (x, y), half = easel.pixels(np.array([[0, 0.14]]))[0], 1.18 * scale
    return Face(_photograph(rng, image), shown, (x - half, y - half, x + half, y + half))


def background(rng: Rng, side: int) -> Image.Image:
    """A background: a plain wall, a mottled one, or something out of focus."""
    kind = int(rng.integers(3))
    if kind == 0:
        return Image.new("RGB", (side, side), any_colour(rng, (0, 0.4), (0.3, 1)))
    if kind == 1:
        return clouds(rng, (side, side), [any_colour(rng, (0, 0.4), (0.3, 1)) for _ in range(2)], 3, 2)
    return backdrop(rng, (side, side)).filter(ImageFilter.GaussianBlur(side / 60))


def _photograph(rng: Rng, image: Image.Image) -> Image.Image:
    """Light from one side, a little blur, noise and compression; sometimes in black and white."""
    image = lit(image, light_map(rng, image.size, between(rng, 0, 0.22)) * between(rng, 0.85, 1.1))
    image = image.filter(ImageFilter.GaussianBlur(between(rng, 0, 0.9)))
    noise = rng.standard_normal((image.height, image.width, 1), dtype=np.float32) * between(rng, 0, 6)
    image = Image.fromarray(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.uint8))
    if maybe(rng, 0.2):
        image = image.convert("L").convert("RGB")
    return as_jpeg(image, int(rng.integers(60, 96))) if maybe(rng, 0.4) else image


def _outline(who: Looks, how: Expression, grown: float = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.floating]]:
    """The outline of the head, (72, 2); a dropped jaw makes it longer, `grown` larger on all sides."""
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    u, v = np.cos(t), np.sin(t)
    u = u * (1 - who.jaw * np.clip(v, 0, 1) ** 2)
    v = v * np.where(v > 0, 1.27 + 0.25 * how.drop, 1.32)
    return np.stack([u, v], axis=1) * (1 + grown)


def _behind(rng: Rng, easel: Easel, who: Looks) -> None:
    """Hair behind the head, neck, shoulders, ears."""
    clothes = any_colour(rng, (0.05, 0.8), (0.1, 0.8))
    if not who.bald:
        easel.oval((0, -0.3), (1.16, 1.25), who.hair, soft=0.03)
        if who.long_hair:
            easel.area(np.array([[-1.16, -0.4], [1.16, -0.4], [1.3, 1.5], [-1.3, 1.5]]), who.hair, soft=0.06)
    neck = shade(who.skin, 0.68)
    easel.area(np.array([[-0.52, 0.7], [0.52, 0.7], [0.6, 1.75], [-0.6, 1.75]]), neck, soft=0.04)
    easel.oval((0, 2.6), (1.9, 1.1), clothes, soft=0.03)
    for side in (-1, 1):
        easel.oval((1.0 * side, 0.05), (0.13, 0.27), shade(who.skin, 0.82), soft=0.02)
        easel.oval((1.02 * side, 0.05), (0.06, 0.16), shade(who.skin, 0.62), 0.7, soft=0.03)


def _skin(easel: Easel, who: Looks, how: Expression) -> None:
    """The head, softly shaded: dark at the rim and in the eye sockets, light on forehead, cheeks and chin."""
    skin, light, dark = who.skin, mix(who.skin, (255, 255, 255), 0.3), shade(who.skin, 0.55)
    head = _outline(who, how)
    easel.area(head, shade(skin, 0.78), soft=0.02)
    easel.area(_outline(who, how, -0.14), skin, soft=0.13, within=head)
    easel.oval((0, -0.72), (0.62, 0.26), light, 0.75, 0.14, head)
    lift = 0.07 * how.squint
    for side in (-1, 1):
        easel.oval((0.5 * side, 0.3 - lift), (0.26, 0.2), light, 0.8, 0.11, head)
        easel.oval((0.45 * side, -0.24), (0.34, 0.19), dark, 0.62, 0.07, head)
        easel.oval((0.2 * side, -0.12), (0.09, 0.14), dark, 0.45, 0.06, head)
        easel.stroke(mirrored(curve((0.2, 0.1), (0.42, 0.13 - lift), (0.66, 0.04)), side), 0.03, dark, 0.3, 0.03)
        fold = curve((0.22, 0.36), (0.46, 0.52), (0.56, 0.8))
        easel.stroke(mirrored(fold, side), 0.045, dark, 0.1 + 0.75 * how.folds, 0.025)
        if how.squint > 0.3:
            crow = curve((0.7, -0.08), (0.78, -0.1), (0.85, -0.16), 5)
            easel.stroke(mirrored(crow, side), 0.02, dark, 0.4 * how.squint, 0.015)
    easel.oval((0, 1.08 + 0.2 * how.drop), (0.24, 0.1), light, 0.5, 0.07, head)
    if max(how.inner, how.outer) > 0.15:
        for height in (-0.86, -0.72):
            crease = curve((-0.45, height), (0, height - 0.05), (0.45, height))
            easel.stroke(crease, 0.02, dark, 1.6 * max(how.inner, how.outer), 0.015)


def _nose(easel: Easel, who: Looks, how: Expression) -> None:
    """The nose: a light bridge between dark sides, the tip, nostrils, and wrinkles across when it is pulled up."""
    light, dark = mix(who.skin, (255, 255, 255), 0.42), shade(who.skin, 0.5)
    up = 0.06 * how.sneer
    wide = 0.15 * who.nose * (1 + 0.15 * how.sneer)
    for side in (-1, 1):
        easel.stroke(mirrored(curve((0.11, -0.12), (0.13, 0.12), (wide, 0.36 - up)), side), 0.06, dark, 0.4, 0.04)
        wing = curve((wide * 1.25, 0.28 - up), (wide * 1.5, 0.38 - up), (wide * 1.1, 0.45 - up))
        easel.stroke(mirrored(wing, side), 0.03, dark, 0.6, 0.015)
        easel.oval((wide * 0.62 * side, 0.44 - up), (0.06, 0.032), DARK, 0.85, 0.015)
    easel.stroke(curve((0, -0.5), (0, -0.1), (0, 0.28 - up)), 0.1, light, 0.85, 0.035)
    easel.oval((0, 0.32 - up), (0.09, 0.08), light, 0.8, 0.04)
    easel.stroke(curve((-wide, 0.47 - up), (0, 0.52 - up), (wide, 0.47 - up)), 0.05, dark, 0.5, 0.03)
    if how.sneer > 0.2:
        for height in (-0.22, -0.1, 0.02):
            wrinkle = curve((-0.13, height - 0.04), (0, height + 0.02), (0.13, height - 0.04))
            easel.stroke(wrinkle, 0.03, shade(who.skin, 0.4), 0.8 * how.sneer, 0.012)
    if how.frown > 0.2:
        for side in (-1, 1):
            furrow = curve((0.07, -0.48), (0.055, -0.38), (0.075, -0.27), 6)
            easel.stroke(mirrored(furrow, side), 0.035, shade(who.skin, 0.38), 0.9 * how.frown, 0.012)


def _eyes(rng: Rng, easel: Easel, who: Looks, how: Expression) -> None:
    """Whites, irises and lids."""
    above = 0.105 * (1 + 0.75 * how.wide)
    below = 0.065 * (1 + 0.25 * how.wide) * (1 - 0.6 * how.squint)
    droop = 0.35 * max(0.0, how.inner - how.outer)  # the lid follows a brow that rises inwards
    gaze = between(rng, -0.03, 0.03)
    for side in (-1, 1):
        u, v = EYE
        inner, outer = (u - 0.2, v + 0.02 - droop * 0.3), (u + 0.21, v - 0.005 + droop * 0.3)
        upper, lower = curve(inner, (u, v - above), outer), curve(inner, (u, v + below), outer)
        opening = mirrored(np.concatenate([upper, lower[::-1]]), side)
        easel.area(opening, (226, 222, 218), soft=0.008)
        middle = (side * u + gaze, v - above * 0.25)
        easel.oval(middle, (0.1, 0.105), who.iris, 1, 0.008, opening)
        easel.oval(middle, (0.048, 0.05), (10, 8, 8), 1, 0.006, opening)
        easel.oval((middle[0] - 0.03, middle[1] - 0.035), (0.02, 0.02), (245, 245, 245), 0.9, 0.005, opening)
        easel.stroke(mirrored(upper, side), 0.045, DARK, 0.9, 0.008)
        easel.stroke(mirrored(lower, side), 0.02, shade(who.skin, 0.45), 0.7, 0.01)
        crease = curve((inner[0], inner[1] - 0.07), (u, v - above - 0.06), (outer[0], outer[1] - 0.05))
        easel.stroke(mirrored(crease, side), 0.02, shade(who.skin, 0.45), 0.6, 0.012)


def _brows(easel: Easel, who: Looks, how: Expression) -> None:
    """The brows: two strokes each, thicker at the inner end."""
    colour = mix(who.hair, DARK, 0.5)
    for side in (-1, 1):
        inner = (0.19 - how.knit, -0.4 - how.inner)
        outer = (0.72, -0.37 - how.outer)
        middle = (0.46 - how.knit * 0.5, -0.47 - 0.5 * (how.inner + how.outer))
        line = curve(inner, middle, outer)
        easel.stroke(mirrored(line, side), who.brows * 0.75, colour, 0.95, 0.014)
        easel.stroke(mirrored(line[:9], side), who.brows, colour, 0.95, 0.014)


def _mouth(easel: Easel, who: Looks, how: Expression) -> None:
    """Lips around a closed or an open mouth, with the teeth that show."""
    lip = mix(mix(who.skin, (170, 60, 60), 0.45), DARK, 0.12)
    half = 0.36 * who.lips * (1 + how.stretch)
    top = MOUTH - 0.12 * how.sneer - 0.28 * how.drop
    bottom = MOUTH + 0.72 * how.drop
    corner = MOUTH - how.corners + (0.22 * how.drop if how.corners < 0.1 else 0)
    left, right = (-half, corner), (half, corner)
    # Where the corners go up, the middle stays below them; where they go down, above
    upper = curve(left, (0, top + 0.12 * how.corners), right)
    lower = curve(left, (0, bottom + 0.12 * how.corners), right)
    thin = 1 - 0.75 * how.press
    outer_top = curve(left, (0, top - 0.075 * thin + 0.12 * how.corners), right)
    outer_bottom = curve(left, (0, bottom + 0.11 * thin + 0.12 * how.corners), right)
    under = float(outer_bottom[7][1])
    shadow = curve((-half * 0.6, under + 0.07), (0, under + 0.1), (half * 0.6, under + 0.07))
    easel.stroke(shadow, 0.07, shade(who.skin, 0.5), 0.5, 0.04)
    easel.area(np.concatenate([outer_top, outer_bottom[::-1]]), lip, 0.95, 0.012)
    opening = np.concatenate([upper, lower[::-1]])
    if how.drop > 0.03:
        easel.area(opening, (48, 16, 18), 1, 0.008)
        if how.bare > 0.2:
            down = np.array([0, 0.45 * how.drop])
            teeth = np.concatenate([upper, (upper + down)[::-1]])
            easel.area(teeth, (232, 226, 216), min(1.0, how.bare), 0.008, opening)
            if how.corners < 0:  # lips drawn back rather than up show both rows of teeth
                teeth = np.concatenate([lower, (lower - 0.8 * down)[::-1]])
                easel.area(teeth, (214, 206, 196), min(1.0, how.bare), 0.008, opening)
    else:
        easel.stroke(upper, 0.04, DARK, 0.9, 0.01)
    for side in (-1, 1):
        easel.oval((half * side, corner), (0.045, 0.04), shade(who.skin, 0.4), 0.6, 0.02)


def _fringe(rng: Rng, easel: Easel, who: Looks) -> None:
    """Hair on the forehead, with a wavy hairline, and on the temples."""
    waves = rng.uniform(-0.06, 0.06, 9)
    u = np.linspace(-1.02, 1.02, 9)
    line = np.stack([u, -0.98 + 0.42 * np.abs(u) ** 3 + waves], axis=1)
    crown = ellipse((0, -0.35), (1.12, 1.2))
    crown = crown[crown[:, 1] < -0.5]
    order = np.argsort(crown[:, 0])[::-1]
    easel.area(np.concatenate([line, crown[order]]), who.hair, soft=0.02)
    for _ in range(5):
        at = between(rng, -0.8, 0.8)
        strand = curve((at, -1.5), (at * 1.1, -1.25), (at * 1.2, -1.02), 6)
        easel.stroke(strand, 0.05, mix(who.hair, (255, 240, 220), 0.2), 0.5, 0.03)
