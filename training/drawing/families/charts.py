"""Maps that show no street grid: transit, contour lines, regions, and a sketch of how to get somewhere."""

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Point, Rng, Sketch, between, canvas_size, maybe, pick
from training.drawing.colours import CHROMATIC, Colour, any_colour, mix, named, ramp, vary
from training.drawing.effects import fractal
from training.drawing.families.maps import MAP_CAPTIONS
from training.drawing.lettering import label, phrases, place_name


def transit_map(rng: Rng) -> Sketch:
    """Coloured lines in steps of 45 degrees, with stations."""
    size = canvas_size(rng)
    land = pick(rng, ((255, 255, 255), (245, 245, 240), (230, 240, 250)))
    image = Image.new("RGB", size, land)
    draw = ImageDraw.Draw(image)
    if maybe(rng, 0.4):
        draw.line(octilinear(rng, size), fill=(190, 220, 240), width=int(rng.integers(8, 25)), joint="curve")
    width = int(rng.integers(3, 9))
    for _ in range(int(rng.integers(3, 9))):
        points = octilinear(rng, size)
        draw.line(points, fill=any_colour(rng, (0.5, 1), (0.5, 0.95)), width=width, joint="curve")
        for x, y in points[1:-1]:
            radius = width * between(rng, 0.6, 1)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255), outline=(20, 20, 20))
            if maybe(rng, 0.6):
                label(image, (x + 18, y - 9), place_name(rng), int(rng.integers(8, 13)), (30, 30, 40))
    return Sketch(image, MAP_CAPTIONS + phrases(("a transit map", "a metro map", "a map of train lines")))


def octilinear(rng: Rng, size: tuple[int, int]) -> list[Point]:
    """A line across the picture that turns by 45 degrees at its stations."""
    heading = int(rng.integers(8))
    x, y = size[0] / 2 + between(rng, -0.3, 0.3) * size[0], size[1] / 2 + between(rng, -0.3, 0.3) * size[1]
    step = min(size) * between(rng, 0.12, 0.3)
    x, y = x - 5 * step * np.cos(heading * np.pi / 4), y - 5 * step * np.sin(heading * np.pi / 4)
    points = []
    for _ in range(11):
        points.append((float(x), float(y)))
        turn = (heading + pick(rng, (0, 0, 0, 1, -1))) * np.pi / 4
        x, y = x + step * np.cos(turn), y + step * np.sin(turn)
    return points


def topographic_map(rng: Rng) -> Sketch:
    """Contour lines over height tints, with a few tracks, streams and names."""
    size = canvas_size(rng)
    height = fractal(rng, size, between(rng, 2, 5), 3, 0.4)
    tints: tuple[tuple[Colour, ...], ...] = (
        ((195, 225, 180), (235, 235, 200), (225, 205, 170), (245, 240, 235)),
        ((250, 250, 245), (250, 250, 245)),
        ((205, 230, 200), (240, 245, 225)),
        ((250, 245, 225), (240, 225, 195)),
    )
    tint = ramp(pick(rng, tints))[(height * 255).astype(np.uint8)]
    level = (height * between(rng, 10, 26)).astype(np.int32)
    edge = np.zeros(level.shape, bool)
    edge[1:] |= level[1:] != level[:-1]
    edge[:, 1:] |= level[:, 1:] != level[:, :-1]
    tint[edge] = vary(rng, pick(rng, ((180, 120, 70), (160, 140, 110), (120, 90, 60), (90, 90, 90))))
    if maybe(rng, 0.5):
        tint[height < between(rng, 0.1, 0.35)] = vary(rng, (165, 205, 230))
    image = Image.fromarray(tint)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        ink = pick(rng, ((200, 60, 50), (60, 60, 60), (80, 140, 210), (240, 200, 90)))
        draw.line(wander(rng, size), fill=ink, width=int(rng.integers(1, 4)), joint="curve")
    for _ in range(int(rng.integers(0, 9))):
        text = str(int(rng.integers(80, 2900))) if maybe(rng, 0.5) else place_name(rng)
        at = (between(rng, 0, size[0]), between(rng, 0, size[1]))
        label(image, at, text, int(rng.integers(9, 15)), (60, 45, 35), degrees=between(rng, -30, 30))
    return Sketch(image, MAP_CAPTIONS + phrases(("a topographic map", "a contour map", "a map of hills")))


def wander(rng: Rng, size: tuple[int, int]) -> list[Point]:
    """A winding line from one side of the picture to another."""
    start, end = rng.uniform(-0.1, 1.1, 2), rng.uniform(-0.1, 1.1, 2)
    start[int(rng.integers(2))], end[int(rng.integers(2))] = -0.1, 1.1
    steps = np.linspace(0, 1, 30)[:, None]
    swing = np.sin(steps * between(rng, 3, 14) + between(rng, 0, 6)) * between(rng, 0.01, 0.09)
    line = (start + (end - start) * steps + swing * np.array([1, -1])) * np.array(size)
    return [(float(x), float(y)) for x, y in line]


def region_map(rng: Rng) -> Sketch:
    """Countries or provinces in pale colours, borders, a sea, cities with names."""
    size = canvas_size(rng)
    width, height = size
    seeds = rng.uniform(-0.1, 1.1, (int(rng.integers(5, 30)), 2)) * (width, height)
    warp_x, warp_y = (fractal(rng, size, between(rng, 4, 10), 4) - 0.5 for _ in range(2))
    y, x = np.mgrid[0:height, 0:width]
    bend = min(size) * between(rng, 0.1, 0.5)
    away = np.stack([np.hypot(x + bend * warp_x - sx, y + bend * warp_y - sy) for sx, sy in seeds])
    region = away.argmin(axis=0)
    pale = maybe(rng, 0.75)
    palette = [any_colour(rng, (0.1, 0.4) if pale else (0.3, 0.8), (0.85, 1) if pale else (0.5, 1)) for _ in seeds]
    pixels = np.array(palette, np.uint8)[region]
    edge = np.zeros(region.shape, bool)
    edge[1:] |= region[1:] != region[:-1]
    edge[:, 1:] |= region[:, 1:] != region[:, :-1]
    edge[1:] |= edge[:-1].copy()
    sea = fractal(rng, size, between(rng, 2, 4), 5) < between(rng, 0.1, 0.5)
    pixels[edge] = pick(rng, ((110, 100, 110), (255, 255, 255), (60, 60, 60), (170, 120, 150)))
    pixels[sea] = vary(rng, pick(rng, ((170, 211, 223), (190, 220, 245), (255, 255, 255), (110, 160, 210))))
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        ink = pick(rng, ((220, 90, 70), (240, 180, 80), (120, 120, 120), (90, 150, 210)))
        draw.line(wander(rng, size), fill=ink, width=int(rng.integers(1, 4)), joint="curve")
    for _ in range(int(rng.integers(3, 16))):
        cx, cy = between(rng, 0, width), between(rng, 0, height)
        draw.ellipse((cx - 2, cy - 2, cx + 2, cy + 2), fill=(30, 30, 30))
        label(image, (cx, cy - 9), place_name(rng), int(rng.integers(9, 16)), (40, 35, 45))
    return Sketch(image, MAP_CAPTIONS + phrases(("a map of countries", "a political map", "a map of a region")))


def sketch_map(rng: Rng) -> Sketch:
    """A plan with a few thick roads, named, some blocks, a route and a pin: what goes with a notice about a road."""
    size = canvas_size(rng)
    land = pick(rng, ((255, 255, 255), (240, 240, 230), (225, 235, 215), (235, 235, 240)))
    image = Image.new("RGB", size, land)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 14))):
        x, y = between(rng, 0, size[0]), between(rng, 0, size[1])
        extent = rng.uniform(0.06, 0.25, 2) * min(size)
        tone = mix(land, pick(rng, ((120, 120, 120), (150, 200, 130), (140, 190, 230), (200, 150, 120))), 0.6)
        draw.rectangle((x, y, x + float(extent[0]), y + float(extent[1])), fill=tone)
    road = pick(rng, ((170, 170, 170), (255, 255, 255), (250, 220, 130), (90, 90, 90)))
    width = round(min(size) * between(rng, 0.03, 0.08))
    lines = [wander(rng, size) for _ in range(int(rng.integers(3, 8)))]
    for line in lines:
        draw.line(line, fill=(80, 80, 80), width=width + 2, joint="curve")
    for line in lines:
        draw.line(line, fill=road, width=width, joint="curve")
    if maybe(rng, 0.6):
        draw.line(
            pick(rng, lines)[4:22], fill=named(rng, pick(rng, CHROMATIC)), width=max(3, width // 2), joint="curve"
        )
    for line in lines:
        (x0, y0), (x1, y1) = line[13], line[16]
        turn = (float(np.degrees(np.arctan2(y0 - y1, x1 - x0))) + 90) % 180 - 90
        label(
            image,
            (x0, y0),
            place_name(rng, street=True),
            int(rng.integers(10, 17)),
            (20, 20, 20),
            (255, 255, 255),
            turn,
        )
    if maybe(rng, 0.5):
        lay_pin(rng, draw, size)
    return Sketch(image, MAP_CAPTIONS + phrases(("a sketch map", "a map of a route", "a road map")))


def lay_pin(rng: Rng, draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """A map pin somewhere in the middle."""
    x, y = size[0] * between(rng, 0.3, 0.7), size[1] * between(rng, 0.3, 0.7)
    radius = min(size) * between(rng, 0.03, 0.06)
    colour = named(rng, pick(rng, ("red", "blue", "green")))
    draw.polygon([(x, y), (x - radius, y - 2 * radius), (x + radius, y - 2 * radius)], fill=colour)
    draw.ellipse((x - radius, y - 3.1 * radius, x + radius, y - 1.1 * radius), fill=colour)
    hole = radius * 0.4
    draw.ellipse((x - hole, y - 2.1 * radius - hole, x + hole, y - 2.1 * radius + hole), fill=(255, 255, 255))
