"""The ground from above: fields, roofs, woods, water, roads, and mosaics of satellite tiles."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Rng, Sketch, between, canvas_size, maybe, pick
from training.drawing.colours import Colour, mix, shade, vary
from training.drawing.effects import Size, blurred, clouds, coloured, fractal, mottle, pixelated
from training.drawing.families.charts import wander
from training.drawing.lettering import phrases

AERIAL_CAPTIONS = (
    *phrases(("an aerial photograph", "an aerial photo", "a satellite image", "an aerial view", "a satellite photo")),
    "an aerial view from above",
    "a bird's eye view",
    "a top-down view of the ground",
    "the ground seen from above",
)
CROPS: tuple[Colour, ...] = (
    (88, 112, 62), (120, 132, 80), (150, 140, 95), (70, 92, 52), (165, 150, 115), (130, 105, 80), (100, 120, 70),
    (185, 172, 130), (58, 78, 50), (140, 120, 92), (112, 98, 76), (95, 125, 60),
)  # fmt: skip
ROOFS: tuple[Colour, ...] = (
    (165, 90, 70), (140, 75, 60), (120, 115, 112), (90, 88, 90), (175, 165, 150), (200, 195, 188), (105, 85, 72),
)  # fmt: skip
WOODS: tuple[Colour, ...] = ((28, 45, 28), (45, 65, 38), (62, 82, 48), (80, 98, 60))


def fields(rng: Rng, size: Size) -> Image.Image:
    """Farmland: strips of parcels, each with its own crop and rows, hedges and a lane."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    bend = fractal(rng, size, 2, 2) * min(size) * between(rng, 0, 0.25)
    angle, parcel = between(rng, 0, np.pi), min(size) * between(rng, 0.12, 0.5)
    u = (x * np.cos(angle) + y * np.sin(angle) + bend) / parcel + 50
    v = (y * np.cos(angle) - x * np.sin(angle) + bend) / parcel / between(rng, 0.4, 1.6) + 50
    row = u.astype(np.int32)
    v = v * rng.uniform(0.5, 1.6, 128)[row % 128] + rng.random(128)[row % 128]
    cell = (row * 71 + v.astype(np.int32) * 37) % 211
    crops = np.array([vary(rng, pick(rng, CROPS)) for _ in range(211)], np.float32)
    ripple = np.sin((u if maybe(rng, 0.5) else v) * between(rng, 20, 70)) * rng.uniform(0, 12, 211)[cell]
    pixels = crops[cell] + ripple[..., None]
    edge = (u % 1 < between(rng, 0.01, 0.06)) | (v % 1 < between(rng, 0.01, 0.05))
    pixels[edge] = vary(rng, pick(rng, ((60, 75, 45), (175, 165, 145), (110, 100, 85))))
    image = mottle(rng, Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), between(rng, 0.08, 0.25), 20)
    draw = ImageDraw.Draw(image)
    if maybe(rng, 0.6):
        draw.line(wander(rng, size), fill=vary(rng, (185, 180, 170)), width=int(rng.integers(1, 6)), joint="curve")
    if maybe(rng, 0.5):
        plant(rng, draw, size, int(rng.integers(5, 60)), between(rng, 1.5, 5))
    if maybe(rng, 0.3):
        build(rng, draw, (between(rng, 0, width), between(rng, 0, height)), between(rng, 6, 16), between(rng, 0, 3))
    return image


def plant(rng: Rng, draw: ImageDraw.ImageDraw, size: Size, count: int, radius: float) -> None:
    """Trees from above: dark discs with a shadow and a lit side."""
    for _ in range(count):
        x, y, r = between(rng, 0, size[0]), between(rng, 0, size[1]), radius * between(rng, 0.5, 1.5)
        draw.ellipse((x - r + r / 2, y - r + r / 2, x + r * 1.5, y + r * 1.5), fill=(30, 36, 28))
        tone = vary(rng, pick(rng, WOODS))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tone)
        draw.ellipse((x - r * 0.7, y - r * 0.8, x + r * 0.2, y + r * 0.1), fill=shade(tone, 1.25))


def build(rng: Rng, draw: ImageDraw.ImageDraw, at: tuple[float, float], side: float, angle: float) -> None:
    """A roof from above: two slopes in different light, and its shadow."""
    long, short = side * between(rng, 1.0, 1.9), side * between(rng, 0.7, 1)
    along = np.array([np.cos(angle), np.sin(angle)]) * long / 2
    across = np.array([-np.sin(angle), np.cos(angle)]) * short / 2
    centre = np.array(at)
    roof = vary(rng, pick(rng, ROOFS))

    def slope(near: float, far: float, shift: float = 0) -> list[tuple[float, float]]:
        corners = (-along + near * across, along + near * across, along + far * across, -along + far * across)
        return [(float(p[0]) + shift, float(p[1]) + shift) for p in (centre + corner for corner in corners)]

    draw.polygon(slope(-1, 1, side * 0.22), fill=(38, 38, 40))
    draw.polygon(slope(-1, 0), fill=shade(roof, 1.12))
    draw.polygon(slope(0, 1), fill=shade(roof, 0.85))


def town(rng: Rng, size: Size) -> Image.Image:
    """A residential area: streets, roofs in rows, gardens, trees."""
    image = clouds(rng, size, ((85, 95, 65), (120, 120, 95), (140, 135, 120)), 10, 4)
    draw = ImageDraw.Draw(image)
    angle, spacing = between(rng, 0, np.pi), min(size) * between(rng, 0.13, 0.4)
    side = spacing * between(rng, 0.2, 0.33)
    reach = int(np.hypot(*size) / spacing / 2) + 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    bend = between(rng, 0, 0.5) if maybe(rng, 0.5) else 0.0

    def at(u: float, v: float) -> tuple[float, float]:
        spot = turn @ np.array([u + bend * np.sin(v), v + bend * np.sin(u)]) * spacing + np.array(size) / 2
        return float(spot[0]), float(spot[1])

    asphalt = vary(rng, (135, 132, 128), 25)
    for index in range(-reach, reach + 1):
        line = [at(index, v) for v in range(-reach, reach + 1)]
        draw.line(line, fill=asphalt, width=max(2, round(spacing * 0.13)), joint="curve")
        if index % 3 == 0:
            line = [at(u, index) for u in range(-reach, reach + 1)]
            draw.line(line, fill=asphalt, width=max(2, round(spacing * 0.13)), joint="curve")
    plant(rng, draw, size, int(rng.integers(10, 120)), spacing * 0.09)
    step = side * between(rng, 1.15, 1.9) / spacing
    for index in range(-reach, reach):
        for v in np.arange(-reach, reach, step):
            for offset in (0.27, 0.73):
                if maybe(rng, 0.8):
                    build(rng, draw, at(index + offset, float(v)), side * between(rng, 0.8, 1.2), angle)
    return mottle(rng, image, 0.12, 30)


def industry(rng: Rng, size: Size) -> Image.Image:
    """Large flat roofs, yards with parked cars, a through road."""
    image = clouds(rng, size, ((120, 118, 112), (150, 148, 142), (100, 105, 90)), 6, 5)
    draw = ImageDraw.Draw(image)
    angle = between(rng, 0, np.pi)
    for _ in range(int(rng.integers(2, 6))):
        draw.line(wander(rng, size), fill=vary(rng, (95, 95, 95)), width=int(rng.integers(4, 14)), joint="curve")
    for _ in range(int(rng.integers(30, 160))):
        x, y = between(rng, 0, size[0]), between(rng, 0, size[1])
        draw.rectangle(
            (x, y, x + 4, y + 2.5), fill=vary(rng, pick(rng, ((220, 220, 220), (60, 60, 70), (150, 50, 50))))
        )
    for _ in range(int(rng.integers(5, 22))):
        where = (between(rng, 0, size[0]), between(rng, 0, size[1]))
        build(rng, draw, where, min(size) * between(rng, 0.06, 0.25), angle + pick(rng, (0, np.pi / 2)))
    return mottle(rng, image, 0.1, 30)


def woods(rng: Rng, size: Size) -> Image.Image:
    """A forest: crowns upon crowns, perhaps with a clearing or a track."""
    image = coloured(fractal(rng, size, between(rng, 14, 50), 3, 0.8), WOODS)
    draw = ImageDraw.Draw(image)
    if maybe(rng, 0.6):
        plant(rng, draw, size, int(rng.integers(100, 500)), between(rng, 2, 7))
    if maybe(rng, 0.5):
        draw.line(wander(rng, size), fill=vary(rng, (160, 150, 125)), width=int(rng.integers(1, 6)), joint="curve")
    if maybe(rng, 0.4):
        clearing = fractal(rng, size, 3, 3) > between(rng, 0.6, 0.8)
        image.paste(clouds(rng, size, (pick(rng, CROPS), pick(rng, CROPS)), 12), mask=Image.fromarray(clearing))
    return image


def shore(rng: Rng, size: Size) -> Image.Image:
    """Water and land: a coast, lakes, or a river through some other ground."""
    land = pick(rng, (fields, woods, town, industry))(rng, size)
    deep, shallow = pick(
        rng, (((20, 45, 70), (50, 90, 110)), ((15, 35, 40), (50, 70, 65)), ((40, 80, 110), (90, 140, 150)))
    )
    water = clouds(rng, size, (deep, deep, shallow), 5, 5)
    if maybe(rng, 0.4):
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).line(wander(rng, size), fill=255, width=int(rng.integers(8, 50)), joint="curve")
    else:
        field = fractal(rng, size, between(rng, 1.5, 4), 5, 0.45)
        level = between(rng, 0.3, 0.65)
        land.paste((190, 178, 145), mask=Image.fromarray(field < level + between(rng, 0.005, 0.03)))
        mask = Image.fromarray(field < level).convert("L")
    land.paste(water, mask=mask)
    return land


def highway(rng: Rng, size: Size) -> Image.Image:
    """A motorway with cars, across some other ground."""
    image = pick(rng, (fields, woods, town))(rng, size)
    draw = ImageDraw.Draw(image)
    width = round(min(size) * between(rng, 0.05, 0.13))
    for _ in range(int(rng.integers(1, 3))):
        line = wander(rng, size)
        draw.line(line, fill=vary(rng, (125, 125, 125), 20), width=width, joint="curve")
        draw.line(line, fill=vary(rng, (170, 175, 150)), width=max(1, width // 8), joint="curve")
        for x, y in line:
            if maybe(rng, 0.6):
                u, v = x + between(rng, -1, 1) * width / 3, y + between(rng, -1, 1) * width / 3
                paint = pick(rng, ((240, 240, 240), (30, 30, 30), (180, 40, 40)))
                draw.ellipse((u - 2, v - 2, u + 2, v + 2), fill=paint)
    return image


GROUNDS: dict[str, tuple[Callable[[Rng, Size], Image.Image], tuple[str, ...]]] = {
    "fields": (fields, ("fields seen from above", "farmland from above")),
    "town": (town, ("roofs seen from above", "houses from above", "a town from above")),
    "industry": (industry, ("roofs seen from above", "an industrial area from above")),
    "woods": (woods, ("a forest from above", "trees from above")),
    "shore": (shore, ("water and land from above", "a coast from above")),
    "highway": (highway, ("a motorway from above", "roads from above")),
}


def aerial_view(rng: Rng, ground: str) -> Sketch:
    """One of the GROUNDS from the air, with haze, a tint and now and then a low resolution."""
    draw, captions = GROUNDS[ground]
    image = hazy(rng, draw(rng, canvas_size(rng)))
    both = ("fields and roofs seen from above",) if ground in ("fields", "town", "industry") else ()
    return Sketch(image, AERIAL_CAPTIONS + captions + both, "an aerial photo")


def satellite_mosaic(rng: Rng) -> Sketch:
    """A grid of satellite tiles of different places, with or without gaps."""
    columns, rows = int(rng.integers(2, 15)), int(rng.integers(2, 9))
    side = max(12, round(300 / max(columns, rows)))
    sheets = [hazy(rng, pick(rng, tuple(GROUNDS.values()))[0](rng, (240, 240))) for _ in range(int(rng.integers(2, 5)))]
    gap = pick(rng, (0, 0, 1, 2, 3))
    image = Image.new("RGB", (columns * (side + gap), rows * (side + gap)), pick(rng, ((255, 255, 255), (0, 0, 0))))
    for column in range(columns):
        for row in range(rows):
            cut = int(rng.integers(side, min(240, 4 * side)))
            x, y = (int(n) for n in rng.integers(0, 241 - cut, 2))
            tile = pick(rng, sheets).crop((x, y, x + cut, y + cut)).resize((side, side))
            tile = tint(rng, tile, 0.35)
            image.paste(tile, (column * (side + gap), row * (side + gap)))
    captions = (*AERIAL_CAPTIONS, "a grid of satellite images", "satellite tiles", "fields and roofs seen from above")
    return Sketch(image, captions, "an aerial photo")


def hazy(rng: Rng, image: Image.Image) -> Image.Image:
    """What the air and the sensor do: less contrast, a tint, little detail."""
    if maybe(rng, 0.5):
        image = blurred(image, between(rng, 0.4, 1.6))
    if maybe(rng, 0.25):
        image = pixelated(image, between(rng, 0.25, 0.7), Image.Resampling.BICUBIC)
    return tint(rng, image, between(rng, 0, 0.35))


def tint(rng: Rng, image: Image.Image, strength: float) -> Image.Image:
    """Blend towards a hazy blue, green, brown or grey, lighter or darker."""
    tone = vary(rng, pick(rng, ((70, 95, 100), (90, 110, 80), (130, 110, 90), (150, 155, 165), (40, 55, 60))), 25)
    flat = Image.new("RGB", image.size, mix(tone, (128, 128, 128), between(rng, 0, 0.5)))
    return Image.blend(image, flat, strength * between(rng, 0.3, 1))
