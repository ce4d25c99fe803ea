"""Stand-ins for photographs of places: landscapes, lawns, skies, streets, rooms, nights; and plain visual noise."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Rng, Sketch, between, canvas_size, jittered_box, maybe, pick
from training.drawing.colours import Colour, any_colour, mix, shade, vary
from training.drawing.effects import Size, blob, blurred, clouds, coloured, fractal, light_map, lit, mottle, pixelated
from training.drawing.families.photos import (
    COATS,
    OBJECT_CAPTIONS,
    PHOTO_CAPTIONS,
    backdrop,
    foliage,
    fur,
    portion,
    put,
    surface,
)


def sky(rng: Rng, size: Size) -> Image.Image:
    """A gradient from zenith to horizon with some clouds: day, dusk or night."""
    zenith, horizon = pick(
        rng,
        (
            ((70, 120, 190), (190, 210, 230)), ((15, 22, 60), (90, 90, 130)), ((60, 60, 110), (250, 170, 110)),
            ((170, 175, 180), (225, 225, 225)), ((8, 8, 18), (30, 30, 50)), ((110, 160, 210), (240, 235, 225)),
        ),
    )  # fmt: skip
    ramp = np.repeat(np.linspace(0, 1, size[1], dtype=np.float32)[:, None], size[0], axis=1)
    image = coloured(ramp, (zenith, horizon))
    if maybe(rng, 0.5):
        cover = Image.fromarray(
            (np.clip(fractal(rng, size, 3, 4) - between(rng, 0.3, 0.7), 0, 1) * 500).clip(0, 255).astype(np.uint8)
        )
        image.paste(mix(horizon, (255, 255, 255), 0.6), mask=cover)
    return image


def landscape(rng: Rng) -> Sketch:
    """Sky over hills, one range behind the other, over water, sand or grass."""
    size = canvas_size(rng)
    image = sky(rng, size)
    draw = ImageDraw.Draw(image)
    base = pick(rng, ((70, 95, 60), (110, 110, 125), (90, 80, 70), (40, 55, 50)))
    line = size[1] * between(rng, 0.3, 0.6)
    for layer in range(int(rng.integers(1, 5))):
        rough = fractal(rng, (size[0], 2), between(rng, 2, 8), 4)[0]
        ys = line + (rough - 0.5) * size[1] * between(rng, 0.1, 0.45)
        outline = [(float(x), float(y)) for x, y in enumerate(ys)]
        draw.polygon(
            [(0, size[1]), *outline, (size[0], size[1])], fill=mix(base, (190, 205, 220), max(0, 0.6 - 0.2 * layer))
        )
        line += size[1] * 0.12
    if maybe(rng, 0.7):
        top = round(size[1] * between(rng, 0.55, 0.8))
        tone = pick(rng, ((60, 90, 120), (100, 130, 60), (190, 170, 130), (120, 150, 170)))
        image.paste(receding(rng, (size[0], size[1] - top), tone), (0, top))
    if maybe(rng, 0.4):
        put(
            rng,
            image,
            blob(rng, size, jittered_box(rng, size, 0.2, 0.6), 0.9),
            pick(rng, ((40, 60, 35), any_colour(rng))),
            0.5,
        )
    return Sketch(
        mottle(rng, image, 0.08, 40), ("a landscape", "a photo of a landscape", "hills and sky", *PHOTO_CAPTIONS)
    )


def receding(rng: Rng, size: Size, tone: Colour) -> Image.Image:
    """A ground plane in perspective: its grain is coarse in front and fine far away."""
    width, height = size
    field = fractal(rng, (512, 512), between(rng, 25, 90), 3, 0.7)
    depth = 1 / (np.linspace(0.06, 1, height) + 0.02)
    rows = (depth * between(rng, 30, 60)).astype(np.int32) % 512
    across = np.linspace(-1, 1, width)[None, :] * depth[:, None]
    columns = (across * between(rng, 60, 160) + 256).astype(np.int32) % 512
    return coloured(field[rows[:, None], columns], (shade(tone, 0.55), tone, shade(tone, 1.35)))


def lawn(rng: Rng) -> Sketch:
    """Something dark or furry with its shadow on grass, sand or a floor that recedes, below a strip of background."""
    size = canvas_size(rng)
    tone = pick(rng, ((95, 140, 60), (120, 150, 80), (80, 115, 50), (180, 165, 130), (130, 120, 110), (150, 60, 50)))
    image = receding(rng, size, tone)
    top = round(size[1] * between(rng, 0, 0.3))
    if top > 8:
        strip = backdrop(rng, size).crop((0, 0, size[0], top))
        image.paste(strip, (0, 0))
    for _ in range(int(rng.integers(1, 4))):
        box = portion(jittered_box(rng, size, 0.25, 0.6), 0, 0.2, between(rng, 0.5, 1.2), 0.8)
        shadow = blurred(blob(rng, size, portion(box, 0, 0.85, 1.3, 1.15), 0.2), 3).point(lambda value: value * 0.5)
        image.paste((10, 15, 10), mask=shadow)
        coat = pick(rng, COATS)
        for u in (0.1, 0.3, 0.65, 0.85):
            fur(rng, image, blob(rng, size, portion(box, u - 0.05, 0.6, u + 0.06, 1.1), 0.2), coat)
        fur(rng, image, blob(rng, size, portion(box, 0, 0.2, 1, 0.75), 0.4), coat)
        fur(rng, image, blob(rng, size, portion(box, 0.7, -0.1, 1.15, 0.35), 0.3), coat)
    captions = (
        "an animal",
        "a photo of an animal",
        "a picture of an animal",
        "an animal on the ground",
        *PHOTO_CAPTIONS,
    )
    return Sketch(image, captions)


def perched(rng: Rng) -> Sketch:
    """A feathered body with a tail on a branch, among leaves."""
    size = canvas_size(rng)
    image = blurred(foliage(rng, size), between(rng, 0, 6)) if maybe(rng, 0.7) else sky(rng, size)
    draw = ImageDraw.Draw(image)
    box = jittered_box(rng, size, 0.6, 0.98)
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.uniform(-0.3, 1.3, 2)
        bark = vary(rng, (105, 75, 55), 25)
        draw.line(
            (-5, float(ends[0]) * size[1], size[0] + 5, float(ends[1]) * size[1]),
            fill=bark,
            width=int(rng.integers(4, 22)),
        )
    coat = pick(rng, COATS)
    tail = Image.new("L", size)
    corners = [
        portion(box, u, v, 1, 1)[:2] for u, v in ((0.35, 0.55), (0.6, 0.55), (between(rng, 0.6, 1), 1.05), (0.5, 1))
    ]
    ImageDraw.Draw(tail).polygon(corners, fill=255)
    fur(rng, image, tail, coat)
    fur(rng, image, blob(rng, size, portion(box, 0.2, 0.2, 0.7, 0.8), 0.2), coat)
    fur(rng, image, blob(rng, size, portion(box, 0.3, 0.2, 0.65, 0.75), 0.3), pick(rng, COATS))
    head = portion(box, 0.15, 0.02, 0.5, 0.36)
    fur(rng, image, blob(rng, size, head, 0.05), pick(rng, COATS))
    beak = [portion(head, u, v, 1, 1)[:2] for u, v in ((0.05, 0.4), (0.05, 0.65), (-0.3, 0.6))]
    draw.polygon(beak, fill=(40, 35, 30))
    draw.ellipse(portion(head, 0.25, 0.35, 0.4, 0.5), fill=(10, 10, 10), outline=(230, 230, 230))
    return Sketch(
        image,
        ("an animal", "a photo of an animal", "a picture of an animal", "a bird", "a photo of a bird", *PHOTO_CAPTIONS),
    )


def tower(rng: Rng) -> Sketch:
    """Something tall against a sky, with masts beside it, and lights or trees at its foot."""
    size = canvas_size(rng)
    image = sky(rng, size)
    draw = ImageDraw.Draw(image)
    foot = size[1] * between(rng, 0.75, 1.0)
    for _ in range(int(rng.integers(0, 6))):
        x, wide, top = between(rng, 0, 1) * size[0], size[0] * between(rng, 0.01, 0.05), size[1] * between(rng, 0, 0.5)
        ink = mix(any_colour(rng, (0, 0.4), (0.1, 0.6)), (20, 20, 30), 0.5)
        for y in np.arange(top, foot, max(4, wide * 1.5)):
            draw.line((x - wide, float(y), x + wide, float(y) + wide * 1.5), fill=ink)
            draw.line((x + wide, float(y), x - wide, float(y) + wide * 1.5), fill=ink)
        draw.line((x - wide, top, x - wide, foot), fill=ink, width=2)
        draw.line((x + wide, top, x + wide, foot), fill=ink, width=2)
    body = any_colour(rng, (0, 0.5), (0.5, 1))
    tiers, x = pick(rng, (1, 1, 3, 5)), size[0] / 2 + between(rng, -0.15, 0.15) * min(size)
    wide, top = min(size) * between(rng, 0.06, 0.4), size[1] * between(rng, 0.05, 0.4)
    step = (foot - top) / tiers
    for tier in range(tiers):
        y, half = top + tier * step, wide * (0.5 + 0.5 * (tier + 1) / tiers) / 2
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).rectangle((x - half, y + step * 0.3, x + half, y + step), fill=255)
        ImageDraw.Draw(mask).polygon(
            [(x - half * 1.4, y + step * 0.35), (x, y), (x + half * 1.4, y + step * 0.35)], fill=255
        )
        put(rng, image, mask, body, 0.4)
    draw.rectangle((0, foot, *size), fill=vary(rng, (50, 55, 45), 25))
    for _ in range(int(rng.integers(0, 12))):
        lx, ly, r = between(rng, 0, 1) * size[0], foot + between(rng, -10, 15), between(rng, 1, 6)
        draw.ellipse((lx - r, ly - r, lx + r, ly + r), fill=pick(rng, ((255, 230, 160), (60, 80, 45), (255, 255, 240))))
    return Sketch(image, ("a tall building", "a photo of a tower", *OBJECT_CAPTIONS))


def facade(rng: Rng) -> Sketch:
    """House fronts in a street: gables, timber, rows of windows, a strip of sky."""
    size = canvas_size(rng)
    image = sky(rng, size)
    draw = ImageDraw.Draw(image)
    x = between(rng, -0.3, 0) * size[0]
    while x < size[0]:
        wide, top = size[0] * between(rng, 0.2, 0.6), size[1] * between(rng, -0.1, 0.35)
        wall, roof = any_colour(rng, (0.05, 0.5), (0.4, 0.95)), pick(rng, ((120, 60, 45), (70, 60, 60), (90, 90, 95)))
        eaves = top + size[1] * between(rng, 0.15, 0.3)
        draw.polygon([(x - 5, eaves), (x + wide / 2, top), (x + wide + 5, eaves)], fill=vary(rng, roof))
        draw.rectangle((x, eaves, x + wide, size[1]), fill=wall)
        columns, rows = int(rng.integers(2, 5)), int(rng.integers(2, 5))
        frame = pick(rng, ((245, 245, 240), (60, 40, 30), shade(wall, 0.6)))
        for column in range(columns):
            for row in range(rows):
                u = x + wide * (column + 0.25) / columns
                v = eaves + (size[1] - eaves) * (row + 0.2) / rows
                pane = (u, v, u + wide / columns * 0.5, v + (size[1] - eaves) / rows * 0.55)
                draw.rectangle(pane, fill=vary(rng, (60, 75, 90), 25), outline=frame, width=2)
        if maybe(rng, 0.3):
            for share in np.linspace(0, 1, int(rng.integers(3, 7))):
                draw.line((x + wide * share, eaves, x + wide * (1 - share), size[1]), fill=(60, 40, 30), width=4)
        x += wide
    image = mottle(rng, lit(image, light_map(rng, size, 0.3)), between(rng, 0.05, 0.2), 30)
    return Sketch(image, ("a building", "a photo of a building", "house fronts in a street", *OBJECT_CAPTIONS))


def room(rng: Rng) -> Sketch:
    """A room: back wall, floor, side walls, a window, furniture."""
    size = canvas_size(rng)
    width, height = size
    left, right = width * between(rng, 0, 0.3), width * between(rng, 0.7, 1)
    top, bottom = height * between(rng, 0, 0.2), height * between(rng, 0.55, 0.75)
    wall, floor = (
        any_colour(rng, (0, 0.4), (0.5, 1)),
        pick(rng, ((140, 100, 65), (110, 110, 112), (170, 60, 55), (190, 175, 150))),
    )
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    draw.polygon([(0, 0), (left, top), (left, bottom), (0, height)], fill=shade(wall, 0.8))
    draw.polygon([(width, 0), (right, top), (right, bottom), (width, height)], fill=shade(wall, 0.7))
    draw.polygon([(0, 0), (width, 0), (right, top), (left, top)], fill=shade(wall, 1.1))
    draw.polygon([(0, height), (left, bottom), (right, bottom), (width, height)], fill=floor)
    if maybe(rng, 0.6):
        x = between(rng, left, right - 30)
        draw.rectangle(
            (x, top + 12, x + width * 0.2, bottom * 0.7), fill=(225, 235, 245), outline=(250, 250, 250), width=4
        )
    for _ in range(int(rng.integers(1, 7))):
        x, wide, high = between(rng, 0, width * 0.8), width * between(rng, 0.1, 0.4), height * between(rng, 0.1, 0.4)
        y = between(rng, bottom, height) - high
        colour = any_colour(rng, (0.1, 0.8), (0.15, 0.9))
        draw.rectangle((x, y, x + wide, y + high), fill=colour)
        draw.polygon(
            [(x, y), (x + wide, y), (x + wide * 0.9, y - high * 0.25), (x + wide * 0.1, y - high * 0.25)],
            fill=shade(colour, 1.25),
        )
    image = lit(mottle(rng, image, between(rng, 0.05, 0.2), 25), light_map(rng, size, between(rng, 0.1, 0.6)))
    return Sketch(image, ("a room", "a photo of a room", "furniture in a room", *OBJECT_CAPTIONS))


def bokeh(rng: Rng) -> Sketch:
    """Lights out of focus in the dark, or pale discs on colour."""
    size = canvas_size(rng)
    dark = maybe(rng, 0.7)
    base = any_colour(rng, (0.2, 0.9), (0.03, 0.2) if dark else (0.4, 0.9))
    image = clouds(rng, size, (base, mix(base, any_colour(rng), 0.4)), 2, 2)
    tone = any_colour(rng, (0.2, 0.9), (0.8, 1))
    for _ in range(int(rng.integers(8, 50))):
        x, y, r = between(rng, 0, size[0]), between(rng, 0, size[1]), between(rng, 3, 24)
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(50, 190)))
        image.paste(vary(rng, tone, 60), mask=mask)
    return Sketch(blurred(image, between(rng, 0.5, 4)), ("lights out of focus", "a photo of lights", *PHOTO_CAPTIONS))


def overlap(rng: Rng) -> Sketch:
    """Shapes of every size over one another, statistically like photographs ("dead leaves", Lee et al. 2001)."""
    size = canvas_size(rng)
    image = backdrop(rng, size)
    hues = [any_colour(rng, (0.05, 0.8), (0.05, 1)) for _ in range(int(rng.integers(3, 7)))]
    sheets = [surface(rng, size, hue) for hue in hues]
    for _ in range(int(rng.integers(15, 60))):
        side = min(size) * min(0.9, 0.07 / between(rng, 0.08, 1))
        x, y = between(rng, 0, size[0]), between(rng, 0, size[1])
        mask = blob(rng, size, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), between(rng, 0, 0.9))
        light = Image.new("RGB", size, shade(pick(rng, hues), between(rng, 0.4, 1.3)))
        image.paste(Image.blend(pick(rng, sheets), light, between(rng, 0.1, 0.7)), mask=mask)
    return Sketch(lit(image, light_map(rng, size, between(rng, 0.1, 0.6))), ("things in a heap", *OBJECT_CAPTIONS))


def vagueness(rng: Rng) -> Sketch:
    """Hardly anything: a gradient, a smear of colours, coarse pixels, a material close by."""
    size = canvas_size(rng)
    kind = int(rng.integers(4))
    if kind == 0:
        image = lit(
            Image.new("RGB", size, any_colour(rng, (0, 0.9), (0.1, 1))), light_map(rng, size, between(rng, 0.1, 0.7))
        )
    elif kind == 1:
        image = blurred(thing_heap(rng, size), between(rng, 4, 14))
    elif kind == 2:
        image = pixelated(thing_heap(rng, size), between(rng, 0.05, 0.14), Image.Resampling.NEAREST)
    else:
        image = lit(surface(rng, size, any_colour(rng)), light_map(rng, size, 0.4))
    return Sketch(image, ("an abstract picture", "a blurred picture", *PHOTO_CAPTIONS))


def thing_heap(rng: Rng, size: Size) -> Image.Image:
    """Coloured blobs on a backdrop, to be blurred or pixelated."""
    image = backdrop(rng, size)
    for _ in range(int(rng.integers(2, 7))):
        mask = blob(rng, size, jittered_box(rng, size, 0.2, 0.6), 0.5)
        image.paste(any_colour(rng, (0.3, 1), (0.2, 1)), mask=mask)
    return image


VIEWS: dict[str, Callable[[Rng], Sketch]] = {
    "landscape": landscape, "lawn": lawn, "perched": perched, "tower": tower, "facade": facade, "room": room,
    "bokeh": bokeh, "overlap": overlap, "vagueness": vagueness,
}  # fmt: skip
