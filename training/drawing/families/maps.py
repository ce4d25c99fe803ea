"""Street maps: a grid of streets that is turned and bent, and what lies between the streets, in several styles."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Point, Rng, Sketch, between, canvas_size, maybe, pick
from training.drawing.colours import Colour, any_colour, vary
from training.drawing.lettering import label, phrases, place_name

MAP_CAPTIONS = (*phrases(("a map", "a coloured map")), "maps", "a schematic map", "a schematic map of an area")
STREET_CAPTIONS = (
    *phrases(("a street map", "a city map", "a road map", "a map of streets")),
    "a cartographic drawing of streets",
    "a map with street names",
)


@dataclass(frozen=True)
class Style:
    """The colours of a map: `blocks` are those of the ground between streets, `roads` go from minor to motorway."""

    land: Colour
    blocks: tuple[Colour, ...]
    building: Colour
    park: Colour
    water: Colour
    casing: Colour
    roads: tuple[Colour, Colour, Colour]
    rail: Colour
    ink: Colour
    halo: Colour


CARTO = Style(
    (242, 239, 233),
    ((224, 223, 223), (242, 218, 217), (235, 219, 232), (238, 238, 238)),
    (217, 208, 201),
    (200, 235, 190),
    (170, 211, 223),
    (190, 183, 178),
    ((255, 255, 255), (247, 250, 191), (232, 146, 162)),
    (90, 90, 90),
    (60, 60, 75),
    (255, 255, 255),
)
ATLAS = Style(
    (240, 237, 229),
    ((232, 232, 232), (245, 240, 230), (250, 245, 235)),
    (225, 220, 212),
    (197, 226, 178),
    (156, 199, 240),
    (214, 206, 190),
    ((255, 255, 255), (255, 224, 130), (249, 178, 90)),
    (150, 150, 150),
    (80, 80, 80),
    (255, 255, 255),
)
PALE = Style(
    (245, 245, 243),
    ((238, 238, 236), (243, 243, 243)),
    (228, 228, 226),
    (232, 238, 228),
    (208, 214, 218),
    (220, 220, 220),
    ((255, 255, 255), (255, 255, 255), (250, 240, 225)),
    (200, 200, 200),
    (120, 120, 120),
    (250, 250, 250),
)
DARK = Style(
    (28, 30, 34),
    ((34, 36, 40), (30, 34, 40)),
    (46, 48, 54),
    (28, 46, 40),
    (16, 28, 48),
    (18, 18, 20),
    ((62, 64, 70), (84, 84, 90), (120, 100, 70)),
    (70, 70, 80),
    (180, 180, 185),
    (20, 20, 22),
)
PLAIN = Style(
    (255, 255, 255),
    ((255, 255, 255), (240, 240, 240)),
    (205, 205, 205),
    (235, 235, 235),
    (215, 215, 215),
    (20, 20, 20),
    ((255, 255, 255), (255, 255, 255), (225, 225, 225)),
    (40, 40, 40),
    (0, 0, 0),
    (255, 255, 255),
)
STYLES = {"carto": CARTO, "atlas": ATLAS, "pale": PALE, "dark": DARK, "plain": PLAIN}


class StreetPlan:
    """Maps grid coordinates, in which streets lie at whole numbers, to the canvas: scaled, turned and bent."""

    def __init__(self, rng: Rng, size: tuple[int, int]) -> None:
        self.size = size
        self.spacing = min(size) / between(rng, 3.0, 12)
        self.ratio = between(rng, 0.6, 1.7)
        self.angle = 0.0 if maybe(rng, 0.4) else between(rng, -0.8, 0.8)
        self.bend = 0.0 if maybe(rng, 0.4) else between(rng, 0.1, 1.1)
        self.phase = rng.uniform(0, 6.3, 4)
        self.reach = int(np.hypot(*size) / self.spacing / min(1.0, self.ratio) / 2) + 2

    def at(self, u: float, v: float) -> Point:
        """Grid to pixels."""
        x = u + self.bend * np.sin(v * 0.7 + self.phase[0]) + 0.4 * self.bend * np.sin(v * 1.9 + self.phase[1])
        y = v + self.bend * np.sin(u * 0.6 + self.phase[2]) + 0.4 * self.bend * np.sin(u * 1.7 + self.phase[3])
        x, y = x * self.spacing, y * self.spacing * self.ratio
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return float(self.size[0] / 2 + x * cos - y * sin), float(self.size[1] / 2 + x * sin + y * cos)

    def quad(self, u: float, v: float, width: float, height: float) -> list[Point]:
        """A cell of the grid as a polygon."""
        return [self.at(u, v), self.at(u + width, v), self.at(u + width, v + height), self.at(u, v + height)]

    def line(self, start: Point, end: Point) -> list[Point]:
        """A straight line of the grid, as a polyline on the canvas."""
        steps = max(2, int(max(abs(end[0] - start[0]), abs(end[1] - start[1])) * (3 if self.bend else 1)))
        us = np.linspace(start[0], end[0], steps).tolist()
        vs = np.linspace(start[1], end[1], steps).tolist()
        return [self.at(u, v) for u, v in zip(us, vs, strict=True)]

    def degrees(self, along: bool) -> float:
        """The angle of a text along the streets, or across them, that is never upside down."""
        turn = -np.degrees(self.angle) + (0 if along else 90)
        return float((turn + 90) % 180 - 90)


def street_map(rng: Rng, style_name: str) -> Sketch:
    """A street map in one of the STYLES."""
    style = STYLES[style_name]
    size = canvas_size(rng)
    size = (round(size[0] * 1.3), round(size[1] * 1.3))
    image = Image.new("RGB", size, vary(rng, style.land, 5))
    draw = ImageDraw.Draw(image)
    plan = StreetPlan(rng, size)
    lay_ground(rng, draw, plan, style)
    if maybe(rng, 0.55):
        lay_river(rng, draw, plan, style)
    lay_streets(rng, draw, plan, style)
    for _ in range(int(rng.integers(0, 3))):
        lay_railway(rng, draw, plan, style)
    if maybe(rng, 0.4):
        lay_junction(rng, draw, plan, style)
    write_names(rng, image, plan, style)
    return Sketch(image, MAP_CAPTIONS + STREET_CAPTIONS, "a street map")


def lay_ground(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style) -> None:
    """Fill the blocks between streets: parks, ponds, bare ground, buildings."""
    parks, built = between(rng, 0.02, 0.2), between(rng, 0.2, 1)
    for u in range(-plan.reach, plan.reach):
        for v in range(-plan.reach, plan.reach):
            x, y = plan.at(u + 0.5, v + 0.5)
            if not (
                -plan.spacing < x < plan.size[0] + plan.spacing and -plan.spacing < y < plan.size[1] + plan.spacing
            ):
                continue
            draw.polygon(plan.quad(u, v, 1, 1), fill=vary(rng, pick(rng, style.blocks), 3))
            if maybe(rng, parks):
                lay_park(rng, draw, plan, style, (u, v))
            elif maybe(rng, 0.03):
                draw.polygon(plan.quad(u, v, 1, 1), fill=style.water)
            elif maybe(rng, built):
                lay_buildings(rng, draw, plan, style, (u, v))


def lay_park(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style, cell: tuple[int, int]) -> None:
    """A green block with footpaths in dashes."""
    u, v = cell
    draw.polygon(plan.quad(u, v, between(rng, 0.8, 2.1), between(rng, 0.8, 2.1)), fill=vary(rng, style.park, 8))
    path = (235, 140, 130) if style.land[0] > 100 else style.roads[0]
    for _ in range(int(rng.integers(0, 4))):
        start, end = rng.uniform(0, 1, 2), rng.uniform(0, 1, 2)
        for step in np.arange(0, 1, 0.16):
            dash = [start + (end - start) * step, start + (end - start) * (step + 0.09)]
            draw.line([plan.at(u + float(p[0]), v + float(p[1])) for p in dash], fill=path, width=1)


def lay_buildings(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style, cell: tuple[int, int]) -> None:
    """Footprints inside a block."""
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    outline = tuple(max(0, channel - 25) for channel in style.building)
    for column in range(columns):
        for row in range(rows):
            if maybe(rng, 0.75):
                u = cell[0] + 0.12 + 0.78 * column / columns
                v = cell[1] + 0.12 + 0.78 * row / rows
                extent = (between(rng, 0.4, 0.95) * 0.78 / columns, between(rng, 0.4, 0.95) * 0.78 / rows)
                draw.polygon(plan.quad(u, v, *extent), fill=style.building, outline=outline)


def lay_river(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style) -> None:
    """Water along the grid, as a river, or as everything beyond a shore."""
    where, slant = between(rng, -plan.reach / 2, plan.reach / 2), between(rng, -1.5, 1.5)
    if maybe(rng, 0.6):
        line = plan.line((where, -plan.reach), (where + slant, plan.reach))
        draw.line(line, fill=style.water, width=round(plan.spacing * between(rng, 0.25, 1.3)), joint="curve")
    else:
        beyond = plan.reach * (1 if where > 0 else -1)
        shore = plan.line((where, -plan.reach), (where + slant, plan.reach))
        draw.polygon([*shore, plan.at(beyond, plan.reach), plan.at(beyond, -plan.reach)], fill=style.water)


def street_lines(rng: Rng, plan: StreetPlan) -> list[tuple[int, list[Point]]]:
    """The streets as (class 0–2, polyline), sorted by class; some minor ones end halfway."""
    streets = []
    majors = (0.0, between(rng, 0.1, 0.4), between(rng, 0, 0.12))
    for index in range(-plan.reach, plan.reach + 1):
        for along in (True, False):
            rank = 2 if maybe(rng, majors[2]) else 1 if maybe(rng, majors[1]) else 0
            low, high = -plan.reach, plan.reach
            if rank == 0 and maybe(rng, 0.35):
                low, high = sorted(int(n) for n in rng.integers(-plan.reach, plan.reach + 1, 2))
            ends = ((low, index), (high, index)) if along else ((index, low), (index, high))
            streets.append((rank, plan.line(*ends)))
        if maybe(rng, 0.12):
            streets.append((int(rng.integers(0, 3)), plan.line((index, -plan.reach), (-index, plan.reach))))
    return sorted(streets, key=lambda street: street[0])


def lay_streets(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style) -> None:
    """Streets: for each class all casings first, so that no casing crosses a street of its class."""
    streets = street_lines(rng, plan)
    base = max(1.6, plan.spacing * between(rng, 0.07, 0.2))
    tints = {rank: vary(rng, style.roads[rank], 8) for rank in range(3)}
    for rank in range(3):
        width = round(base * (1, 1.5, 2.3)[rank])
        lines = [line for own, line in streets if own == rank]
        for line in lines:
            draw.line(line, fill=style.casing, width=width + 2, joint="curve")
        for line in lines:
            draw.line(line, fill=tints[rank], width=width, joint="curve")


def lay_railway(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style) -> None:
    """A railway: one or more dark lines with light dashes."""
    where, slant = between(rng, -plan.reach / 2, plan.reach / 2), between(rng, -2, 2)
    for track in range(int(rng.integers(1, 5))):
        offset = where + track * 0.1
        line = plan.line((-plan.reach, offset), (plan.reach, offset + slant))
        draw.line(line, fill=style.rail, width=3)
        for start, end in zip(line[::2], line[1::2], strict=False):
            draw.line([start, end], fill=style.land, width=1)


def lay_junction(rng: Rng, draw: ImageDraw.ImageDraw, plan: StreetPlan, style: Style) -> None:
    """Slip roads: loops around the crossing of two motorways."""
    x, y = between(rng, 0, plan.size[0]), between(rng, 0, plan.size[1])
    width = max(3, round(plan.spacing * 0.14))
    for _ in range(int(rng.integers(2, 6))):
        radius = plan.spacing * between(rng, 0.3, 1.1)
        cx, cy = x + between(rng, -1, 1) * radius, y + between(rng, -1, 1) * radius
        start = between(rng, 0, 360)
        box = (cx - radius, cy - radius, cx + radius, cy + radius)
        draw.arc(box, start, start + between(rng, 120, 330), fill=style.casing, width=width + 2)
        inner = (box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1)
        draw.arc(inner, start, start + between(rng, 120, 330), fill=style.roads[2], width=width)


def write_names(rng: Rng, image: Image.Image, plan: StreetPlan, style: Style) -> None:
    """Street names along the streets, place names across, and the odd symbol."""
    size = round(between(rng, 9, 17))
    for _ in range(int(rng.integers(0, 22))):
        along = maybe(rng, 0.5)
        u, v = (int(n) for n in rng.integers(-plan.reach, plan.reach + 1, 2))
        at = plan.at(u + 0.5, v) if along else plan.at(u, v + 0.5)
        label(image, at, place_name(rng, street=True), size, style.ink, style.halo, plan.degrees(along))
    for _ in range(int(rng.integers(0, 8))):
        ink = pick(rng, ((70, 80, 170), (30, 110, 40), style.ink))
        at = (between(rng, 0, image.width), between(rng, 0, image.height))
        label(image, at, place_name(rng), round(size * between(rng, 1, 1.6)), ink, style.halo)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 10))):
        x, y = between(rng, 0, image.width), between(rng, 0, image.height)
        side = between(rng, 3, 8)
        corner = 0 if maybe(rng, 0.5) else side / 2
        paint = any_colour(rng, (0.5, 0.9), (0.4, 0.9))
        draw.rounded_rectangle((x, y, x + side, y + side), radius=corner, fill=paint)
