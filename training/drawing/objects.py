"""Everyday things, each drawn into a box in a main colour."""

from collections.abc import Callable

import numpy as np
from PIL import ImageDraw

from training.drawing.chance import Box, Point, Rng, between, maybe, pick
from training.drawing.colours import Colour, any_colour, from_hsv, mix, named, shade, vary

Drawer = Callable[[Rng, ImageDraw.ImageDraw, Box, Colour], None]
INK: Colour = (25, 25, 28)
GLASS: Colour = (190, 220, 240)
SKIN: tuple[Colour, ...] = (
    (245, 208, 175),
    (226, 172, 134),
    (190, 130, 95),
    (140, 88, 60),
    (95, 60, 42),
    (250, 214, 60),
)


class Frame:
    """Coordinates 0–1 within a box, to pixels."""

    def __init__(self, box: Box) -> None:
        self.x, self.y = box[0], box[1]
        self.width, self.height = box[2] - box[0], box[3] - box[1]

    def at(self, u: float, v: float) -> Point:
        """One point."""
        return self.x + u * self.width, self.y + v * self.height

    def points(self, *uv: float) -> list[Point]:
        """u0, v0, u1, v1, … as points."""
        return [self.at(u, v) for u, v in zip(uv[::2], uv[1::2], strict=True)]

    def line(self, share: float) -> int:
        """A line width of this share of the box."""
        return max(1, round(self.width * share))


def house(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """Walls in the colour, a roof, a door, windows, perhaps a chimney."""
    f = Frame(box)
    eaves = between(rng, 0.35, 0.48)
    roof = pick(rng, ((150, 60, 45), (95, 60, 45), (85, 85, 95), shade(colour, 0.55)))
    if maybe(rng, 0.5):
        draw.rectangle((*f.at(0.68, 0.08), *f.at(0.78, 0.4)), fill=shade(roof, 0.8))
    draw.rectangle((*f.at(0.1, eaves), *f.at(0.9, 1)), fill=colour)
    ridge = (0.5, 0.02) if maybe(rng, 0.7) else (0.25, 0.08, 0.75, 0.08)
    draw.polygon(f.points(0.02, eaves, *ridge, 0.98, eaves), fill=roof)
    door = between(rng, 0.2, 0.6)
    draw.rectangle(
        (*f.at(door, 0.68), *f.at(door + 0.16, 1)), fill=pick(rng, ((90, 55, 35), INK, (150, 40, 40), (60, 90, 60)))
    )
    for u in (0.18, 0.42, 0.66):
        draw.rectangle((*f.at(u, eaves + 0.06), *f.at(u + 0.15, eaves + 0.2)), fill=GLASS, outline=INK)
        if not door - 0.18 < u < door + 0.18:
            draw.rectangle((*f.at(u, 0.7), *f.at(u + 0.15, 0.85)), fill=GLASS, outline=INK)


def tree(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A trunk, and a crown of leaves in the colour: round, conical, or a palm's."""
    f = Frame(box)
    trunk = vary(rng, (105, 70, 42))
    draw.polygon(f.points(0.45, 0.5, 0.55, 0.5, 0.58, 1, 0.42, 1), fill=trunk)
    kind = int(rng.integers(3))
    if kind == 0:
        for tier in range(3):
            top, wide = 0.26 * tier, 0.24 + 0.1 * tier
            draw.polygon(
                f.points(0.5, top, 0.5 + wide, top + 0.34, 0.5 - wide, top + 0.34), fill=shade(colour, 0.8 + 0.1 * tier)
            )
        return
    for _ in range(int(rng.integers(9, 30))):
        u, v = 0.5 + rng.normal(0, 0.15), 0.32 + rng.normal(0, 0.1)
        r = between(rng, 0.1, 0.2)
        draw.ellipse((*f.at(u - r, v - r), *f.at(u + r, v + r)), fill=shade(colour, between(rng, 0.75, 1.2)))
    if kind == 1:
        draw.ellipse((*f.at(0.12, 0.02), *f.at(0.88, 0.65)), fill=colour)


def car(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A car from the side, or from the front."""
    f = Frame(box)
    if maybe(rng, 0.25):
        draw.polygon(f.points(0.25, 0.25, 0.75, 0.25, 0.85, 0.5, 0.15, 0.5), fill=shade(colour, 0.9))
        draw.polygon(f.points(0.3, 0.29, 0.7, 0.29, 0.78, 0.48, 0.22, 0.48), fill=GLASS)
        for u in (0.12, 0.74):
            draw.rectangle((*f.at(u, 0.7), *f.at(u + 0.14, 0.9)), fill=INK)
        draw.rounded_rectangle((*f.at(0.08, 0.47), *f.at(0.92, 0.8)), radius=f.line(0.06), fill=colour)
        draw.rectangle((*f.at(0.35, 0.6), *f.at(0.65, 0.72)), fill=INK)
        for u in (0.13, 0.73):
            draw.ellipse((*f.at(u, 0.55), *f.at(u + 0.14, 0.69)), fill=(255, 250, 210))
        return
    front, rear = between(rng, 0.2, 0.32), between(rng, 0.72, 0.85)
    draw.polygon(f.points(front, 0.5, front + 0.12, 0.27, rear - 0.12, 0.27, rear + 0.03, 0.5), fill=colour)
    draw.polygon(f.points(front + 0.06, 0.48, front + 0.14, 0.31, 0.49, 0.31, 0.49, 0.48), fill=GLASS)
    draw.polygon(f.points(0.53, 0.48, 0.53, 0.31, rear - 0.13, 0.31, rear - 0.04, 0.48), fill=GLASS)
    draw.rounded_rectangle((*f.at(0.03, 0.47), *f.at(0.97, 0.7)), radius=f.line(0.06), fill=colour)
    for u in (0.24, 0.76):
        draw.ellipse((*f.at(u - 0.1, 0.6), *f.at(u + 0.1, 0.8)), fill=INK)
        draw.ellipse((*f.at(u - 0.045, 0.655), *f.at(u + 0.045, 0.745)), fill=(170, 170, 175))
    draw.rectangle((*f.at(0.92, 0.52), *f.at(0.97, 0.57)), fill=(255, 240, 160))


def cup(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A cup with a handle, from the side and slightly above, perhaps steaming or on a saucer."""
    f = Frame(box)
    foot = between(rng, 0.06, 0.2)
    if maybe(rng, 0.4):
        draw.ellipse(
            (*f.at(0.02, 0.8), *f.at(0.88, 1)), fill=mix(colour, (255, 255, 255), 0.4), outline=shade(colour, 0.6)
        )
    draw.ellipse((*f.at(0.58, 0.35), *f.at(0.98, 0.75)), outline=shade(colour, 0.85), width=f.line(0.08))
    draw.polygon(f.points(0.1, 0.28, 0.8, 0.28, 0.8 - foot, 0.92, 0.1 + foot, 0.92), fill=colour)
    draw.ellipse((*f.at(0.1 + foot, 0.86), *f.at(0.8 - foot, 0.97)), fill=colour)
    draw.ellipse((*f.at(0.1, 0.18), *f.at(0.8, 0.38)), fill=shade(colour, 0.75))
    drink = pick(rng, ((80, 48, 28), (160, 100, 50), (230, 225, 215), (190, 90, 40)))
    draw.ellipse((*f.at(0.15, 0.22), *f.at(0.75, 0.37)), fill=drink)
    if maybe(rng, 0.3):
        for u in (0.3, 0.45, 0.6):
            draw.arc((*f.at(u - 0.06, 0), *f.at(u + 0.06, 0.2)), 90, 270, fill=(200, 200, 200), width=f.line(0.02))


def face(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A face with hair in the colour (or bald and yellow), eyes, a nose, a mouth."""
    f = Frame(box)
    skin = vary(rng, pick(rng, SKIN), 8)
    half = between(rng, 0.3, 0.42)
    if maybe(rng, 0.75):
        long = between(rng, 0.55, 1.0)
        draw.ellipse((*f.at(0.47 - half, 0), *f.at(0.53 + half, long)), fill=colour)
        draw.ellipse((*f.at(0.5 - half, 0.12), *f.at(0.5 + half, 1)), fill=skin)
        draw.pieslice((*f.at(0.5 - half, 0.04), *f.at(0.5 + half, 0.6)), 190, 350, fill=colour)
    else:
        draw.ellipse(
            (*f.at(0.5 - half, 0.5 - half * 1.1), *f.at(0.5 + half, 0.5 + half * 1.1)),
            fill=skin,
            outline=shade(skin, 0.6),
        )
    eye, iris = between(rng, 0.04, 0.08), pick(rng, (INK, (70, 110, 160), (90, 60, 30), (70, 110, 60)))
    for u in (0.5 - half * 0.42, 0.5 + half * 0.42):
        draw.ellipse((*f.at(u - eye, 0.46 - eye * 0.7), *f.at(u + eye, 0.46 + eye * 0.7)), fill=(250, 250, 250))
        draw.ellipse((*f.at(u - eye / 2, 0.46 - eye / 2), *f.at(u + eye / 2, 0.46 + eye / 2)), fill=iris)
        draw.line(f.points(u - eye * 1.2, 0.39, u + eye * 1.2, 0.38), fill=INK, width=f.line(0.015))
    draw.line(f.points(0.5, 0.5, 0.47, 0.62, 0.52, 0.63), fill=shade(skin, 0.7), width=f.line(0.018))
    bow = between(rng, 0.03, 0.12)
    if maybe(rng, 0.7):
        draw.chord(
            (*f.at(0.5 - half * 0.45, 0.72 - bow), *f.at(0.5 + half * 0.45, 0.72 + bow)), 10, 170, fill=(170, 50, 50)
        )
    else:
        draw.arc(
            (*f.at(0.5 - half * 0.4, 0.72), *f.at(0.5 + half * 0.4, 0.72 + bow)),
            190,
            350,
            fill=(150, 50, 50),
            width=f.line(0.02),
        )


def flower(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """Petals in the colour around a heart, on a stem."""
    f = Frame(box)
    stem = maybe(rng, 0.7)
    v = 0.36 if stem else 0.5
    reach = 0.24 if stem else 0.34
    if stem:
        draw.line(f.points(0.5, v, 0.5, 1), fill=(50, 120, 50), width=f.line(0.04))
        draw.ellipse((*f.at(0.5, 0.72), *f.at(0.76, 0.84)), fill=(60, 140, 60))
    petals = int(rng.integers(5, 15))
    wide = reach * between(rng, 0.9, 1.3) * 5.5 / (petals + 2)
    for angle in np.arange(petals) * 2 * np.pi / petals + between(rng, 0, 1):
        u, w = 0.5 + reach * 0.9 * np.cos(angle), v + reach * 0.9 * np.sin(angle)
        tip = (reach * 0.75 * np.cos(angle), reach * 0.75 * np.sin(angle))
        side = (-np.sin(angle) * wide * 0.7, np.cos(angle) * wide * 0.7)
        turn = np.linspace(0, 2 * np.pi, 14)
        leaf = [
            f.at(
                float(u + tip[0] * np.cos(t) * 0.8 + side[0] * np.sin(t)),
                float(w + tip[1] * np.cos(t) * 0.8 + side[1] * np.sin(t)),
            )
            for t in turn
        ]
        draw.polygon(leaf, fill=shade(colour, between(rng, 0.88, 1.08)), outline=shade(colour, 0.7))
    heart = pick(rng, ((250, 200, 40), (90, 55, 30), (240, 150, 30), (250, 240, 150)))
    r = reach * between(rng, 0.3, 0.55)
    draw.ellipse((*f.at(0.5 - r, v - r), *f.at(0.5 + r, v + r)), fill=heart)


def fish(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A fish from the side."""
    f = Frame(box)
    draw.polygon(f.points(0.7, 0.5, 1, 0.3, 0.95, 0.5, 1, 0.7), fill=shade(colour, 0.8))
    draw.polygon(f.points(0.35, 0.35, 0.5, 0.15, 0.6, 0.35), fill=shade(colour, 0.8))
    draw.ellipse((*f.at(0.05, 0.28), *f.at(0.8, 0.72)), fill=colour)
    draw.ellipse((*f.at(0.16, 0.42), *f.at(0.24, 0.5)), fill=(255, 255, 255), outline=INK, width=f.line(0.02))


def boat(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A sailing boat with a hull in the colour."""
    f = Frame(box)
    draw.polygon(f.points(0.05, 0.68, 0.95, 0.68, 0.8, 0.92, 0.2, 0.92), fill=colour)
    draw.line(f.points(0.5, 0.05, 0.5, 0.68), fill=(90, 60, 40), width=f.line(0.03))
    sail = pick(rng, ((250, 250, 245), any_colour(rng)))
    draw.polygon(f.points(0.54, 0.08, 0.92, 0.6, 0.54, 0.6), fill=sail, outline=INK)
    draw.polygon(f.points(0.46, 0.15, 0.46, 0.6, 0.15, 0.6), fill=shade(sail, 0.9), outline=INK)


def bottle(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A bottle with a paper label."""
    f = Frame(box)
    draw.rectangle((*f.at(0.44, 0.02), *f.at(0.56, 0.3)), fill=shade(colour, 0.85))
    draw.polygon(f.points(0.44, 0.22, 0.56, 0.22, 0.68, 0.42, 0.32, 0.42), fill=colour)
    draw.rectangle((*f.at(0.32, 0.4), *f.at(0.68, 1)), fill=colour)
    draw.rectangle((*f.at(0.32, 0.55), *f.at(0.68, 0.8)), fill=(245, 240, 225))


def umbrella(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """An open umbrella."""
    f = Frame(box)
    draw.line(f.points(0.5, 0.1, 0.5, 0.9), fill=INK, width=f.line(0.03))
    draw.arc((*f.at(0.38, 0.82), *f.at(0.515, 0.98)), 0, 180, fill=INK, width=f.line(0.03))
    draw.pieslice((*f.at(0.04, 0.08), *f.at(0.96, 1)), 180, 360, fill=colour)
    for u in (0.04, 0.35, 0.65):
        draw.pieslice((*f.at(u, 0.48), *f.at(u + 0.31, 0.62)), 180, 360, fill=shade(colour, 0.75))


def apple(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """An apple with a stalk and a leaf."""
    f = Frame(box)
    draw.ellipse((*f.at(0.1, 0.22), *f.at(0.62, 0.95)), fill=colour)
    draw.ellipse((*f.at(0.38, 0.22), *f.at(0.9, 0.95)), fill=colour)
    draw.line(f.points(0.5, 0.3, 0.54, 0.06), fill=(90, 60, 30), width=f.line(0.04))
    draw.ellipse((*f.at(0.55, 0.05), *f.at(0.8, 0.18)), fill=(60, 150, 60))
    draw.ellipse((*f.at(0.22, 0.35), *f.at(0.34, 0.5)), fill=mix(colour, (255, 255, 255), 0.6))


def cat(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A sitting cat."""
    f = Frame(box)
    draw.arc((*f.at(0.55, 0.55), *f.at(0.98, 0.98)), 250, 90, fill=colour, width=f.line(0.08))
    draw.ellipse((*f.at(0.22, 0.45), *f.at(0.78, 1)), fill=colour)
    draw.polygon(f.points(0.24, 0.3, 0.26, 0.02, 0.46, 0.2), fill=shade(colour, 0.85))
    draw.polygon(f.points(0.76, 0.3, 0.74, 0.02, 0.54, 0.2), fill=shade(colour, 0.85))
    draw.ellipse((*f.at(0.22, 0.12), *f.at(0.78, 0.56)), fill=colour)
    for u in (0.36, 0.56):
        draw.ellipse((*f.at(u, 0.27), *f.at(u + 0.09, 0.36)), fill=(220, 230, 90), outline=INK)
    draw.polygon(f.points(0.46, 0.41, 0.54, 0.41, 0.5, 0.46), fill=(230, 140, 140))


def book(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A closed book, its pages showing."""
    f = Frame(box)
    draw.polygon(f.points(0.2, 0.08, 0.88, 0.14, 0.88, 0.97, 0.2, 0.92), fill=(240, 236, 222), outline=INK)
    draw.polygon(f.points(0.1, 0.05, 0.8, 0.1, 0.8, 0.95, 0.1, 0.9), fill=colour)
    draw.rectangle((*f.at(0.22, 0.25), *f.at(0.68, 0.4)), fill=mix(colour, (255, 255, 255), 0.7))


def polygon(f: Frame, radii: tuple[float, ...], turn: float) -> list[Point]:
    """Corners at even angles from the top, at the given radii (0–0.5) in turn."""
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii) + turn
    return [f.at(float(0.5 + r * np.sin(a)), float(0.5 - r * np.cos(a))) for r, a in zip(radii, angles, strict=True)]


def circle(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A disc."""
    draw.ellipse(box, fill=colour)


def star(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A star of five or six points."""
    inner = between(rng, 0.18, 0.27)
    draw.polygon(polygon(Frame(box), (0.5, inner) * pick(rng, (5, 5, 5, 6)), between(rng, -0.2, 0.2)), fill=colour)


def square(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A square."""
    draw.rectangle((*Frame(box).at(0.07, 0.07), *Frame(box).at(0.93, 0.93)), fill=colour)


def triangle(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A triangle."""
    draw.polygon(polygon(Frame(box), (0.5,) * 3, between(rng, -0.3, 0.3)), fill=colour)


def hexagon(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A hexagon."""
    draw.polygon(polygon(Frame(box), (0.5,) * 6, between(rng, 0, 1)), fill=colour)


def heart(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A heart."""
    t = np.linspace(0, 2 * np.pi, 40)
    x = 0.5 + np.sin(t) ** 3 / 2
    y = 0.45 - (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 34
    draw.polygon([Frame(box).at(float(u), float(v)) for u, v in zip(x, y, strict=True)], fill=colour)


def cross(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """A plus sign."""
    f = Frame(box)
    draw.rectangle((*f.at(0.36, 0.05), *f.at(0.64, 0.95)), fill=colour)
    draw.rectangle((*f.at(0.05, 0.36), *f.at(0.95, 0.64)), fill=colour)


SHAPES: dict[str, Drawer] = {
    "circle": circle, "star": star, "square": square, "triangle": triangle,
    "hexagon": hexagon, "heart": heart, "cross": cross,
}  # fmt: skip
THINGS: dict[str, Drawer] = {
    "house": house, "tree": tree, "car": car, "cup": cup, "face": face, "flower": flower, "fish": fish, "boat": boat,
    "bottle": bottle, "umbrella": umbrella, "apple": apple, "cat": cat, "book": book,
}  # fmt: skip


def own_colour(rng: Rng, thing: str) -> tuple[str, Colour]:
    """The colour a thing usually has, by name and as a shade: leaves are green, hair is brown, the rest is anything."""
    usual = {
        "tree": ("green", "green", "green", "orange", "yellow"),
        "face": ("brown", "black", "yellow", "grey", "orange"),
    }
    name = pick(
        rng,
        usual.get(
            thing, ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "grey", "black")
        ),
    )
    if thing == "tree" and name == "green":
        return name, from_hsv(between(rng, 90, 140), between(rng, 0.4, 0.8), between(rng, 0.3, 0.65))
    return name, named(rng, name)
