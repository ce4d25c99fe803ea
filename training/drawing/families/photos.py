"""Stand-ins for photographs of anything: a subject with light and texture in front of a blurred background.

They need not be recognised. They only have what photographs have and what maps and aerial views lack: depth of field,
light from one side, a few large things, soft gradients, fur, foliage, night.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Box, Rng, Sketch, between, canvas_size, jittered_box, maybe, pick
from training.drawing.colours import Colour, any_colour, mix, shade, vary
from training.drawing.effects import Size, blob, blurred, clouds, coloured, fractal, light_map, lit, mottle, rounded
from training.drawing.families.drawings import MISC_CAPTIONS
from training.drawing.lettering import phrases
from training.drawing.objects import SKIN

PHOTO_CAPTIONS = ("a photo", "a photograph", *MISC_CAPTIONS)
OBJECT_CAPTIONS = ("a photo of an object", "an object", *PHOTO_CAPTIONS)
COATS: tuple[tuple[Colour, ...], ...] = (
    ((60, 42, 30), (150, 115, 80), (215, 185, 150)), ((25, 25, 28), (60, 58, 60), (110, 105, 105)),
    ((120, 118, 115), (190, 188, 185), (240, 238, 235)), ((110, 55, 25), (190, 110, 55), (235, 170, 110)),
    ((20, 20, 20), (90, 85, 80), (235, 235, 230)), ((150, 20, 20), (220, 60, 40), (60, 90, 190)),
    ((190, 25, 20), (245, 205, 60), (30, 90, 200)), ((20, 110, 40), (120, 200, 60), (240, 220, 70)),
    ((20, 70, 170), (60, 170, 220), (245, 150, 40)), ((240, 235, 230), (240, 120, 130), (200, 40, 90)),
)  # fmt: skip


def backdrop(rng: Rng, size: Size) -> Image.Image:
    """Something out of focus: wide clouds of colour, blurred foliage, blurred boxes, or two planes."""
    kind = int(rng.integers(4))
    colours = [any_colour(rng, (0.05, 0.8), (0.05, 0.95)) for _ in range(int(rng.integers(2, 5)))]
    if kind == 0:
        return clouds(rng, size, colours, between(rng, 1.5, 5), 2)
    if kind == 1:
        return blurred(foliage(rng, size), between(rng, 3, 12))
    image = clouds(rng, size, colours[:2], 3, 3)
    if kind == 2:
        draw = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(3, 15))):
            x, y = between(rng, -0.2, 1) * size[0], between(rng, -0.2, 1) * size[1]
            extent = rng.uniform(0.1, 0.6, 2) * size
            draw.rectangle((x, y, x + float(extent[0]), y + float(extent[1])), fill=vary(rng, pick(rng, colours), 30))
        return blurred(image, between(rng, 2, 12))
    horizon = round(size[1] * between(rng, 0.3, 0.8))
    base = any_colour(rng, (0.05, 0.7), (0.1, 0.9))
    floor = clouds(rng, size, (shade(base, 0.7), base, shade(base, 1.2)), between(rng, 3, 40), 4)
    image.paste(floor.crop((0, 0, size[0], size[1] - horizon)), (0, horizon))
    return blurred(image, between(rng, 0.5, 8))


def foliage(rng: Rng, size: Size) -> Image.Image:
    """Leaves over leaves, near ones larger and brighter."""
    hue = pick(rng, ((40, 70, 30), (60, 100, 45), (90, 120, 50), (110, 90, 40), (30, 60, 50)))
    slim = pick(rng, ((0.2, 0.6), (0.3, 0.6), (0.04, 0.12)))  # leaves or needles
    image = Image.new("RGB", size, shade(hue, 0.4))
    draw = ImageDraw.Draw(image)
    for step in range(int(rng.integers(40, 160))):
        x, y = between(rng, 0, size[0]), between(rng, 0, size[1])
        long, wide = between(rng, 6, 14) + step * 0.2, between(rng, *slim)
        angle = between(rng, 0, 6.3)
        t = np.linspace(0, 2 * np.pi, 12)
        u, v = long * np.cos(t), long * wide * np.sin(t)
        xs, ys = x + u * np.cos(angle) - v * np.sin(angle), y + u * np.sin(angle) + v * np.cos(angle)
        tone = vary(rng, shade(hue, between(rng, 0.5, 1.7)), 12)
        draw.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=tone)
    return image


def surface(rng: Rng, size: Size, base: Colour) -> Image.Image:
    """A material around a colour: smooth, grained, streaked or spotted."""
    kind = int(rng.integers(4))
    other = mix(base, any_colour(rng), between(rng, 0.1, 0.6))
    if kind == 0:
        return clouds(rng, size, (base, vary(rng, base, 20)), 3, 2)
    if kind == 1:
        return clouds(rng, size, (shade(base, 0.6), base, shade(base, 1.3)), between(rng, 15, 60), 3)
    if kind == 2:
        field = fractal(rng, size, between(rng, 20, 70), 2, 0.6, between(rng, 4, 14))
        image = coloured(field, (shade(base, 0.6), base, other))
        wide = max(image.size) * 2
        return (
            image.resize((wide, wide))
            .rotate(between(rng, 0, 180))
            .crop((wide // 4, wide // 4, wide // 4 + size[0], wide // 4 + size[1]))
        )
    return coloured(np.asarray(fractal(rng, size, between(rng, 5, 25), 2) > 0.55, np.float32) * 0.9, (base, other))


def put(rng: Rng, image: Image.Image, mask: Image.Image, base: Colour, depth: float = 0.5) -> None:
    """Fill a mask with a lit surface, casting a soft shadow."""
    side = min(image.size)
    shadow = blurred(mask, side / 25).point(lambda value: value * 0.5)
    image.paste((0, 0, 0), (round(side * between(rng, -0.05, 0.05)), round(side * 0.04)), shadow)
    image.paste(lit(surface(rng, image.size, base), rounded(rng, mask, depth)), mask=blurred(mask, 0.7))


def portion(box: Box, left: float, top: float, right: float, bottom: float) -> Box:
    """A part of a box, given in coordinates of the box, 0–1."""
    width, height = box[2] - box[0], box[3] - box[1]
    return box[0] + left * width, box[1] + top * height, box[0] + right * width, box[1] + bottom * height


def thing_photo(rng: Rng) -> Sketch:
    """One or a few lit, textured blobs or boxes in front of a backdrop."""
    size = canvas_size(rng)
    image = backdrop(rng, size)
    for _ in range(pick(rng, (1, 1, 2, 3, 5))):
        box = jittered_box(rng, size, 0.25, 0.95)
        box = portion(box, 0, between(rng, 0, 0.35), 1, between(rng, 0.65, 1))
        if maybe(rng, 0.3):
            mask = Image.new("L", size)
            ImageDraw.Draw(mask).rounded_rectangle(box, radius=between(rng, 1, 20), fill=255)
            mask = mask.rotate(between(rng, -30, 30), center=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
        else:
            mask = blob(rng, size, box, between(rng, 0, 0.8))
        put(rng, image, mask, any_colour(rng, (0.05, 0.95)), between(rng, 0.2, 0.7))
    return Sketch(lit(image, light_map(rng, size, between(rng, 0, 0.5))), OBJECT_CAPTIONS)


def portrait(rng: Rng) -> Sketch:
    """Head and shoulders, hair, clothes, in front of a backdrop."""
    size = canvas_size(rng)
    image = backdrop(rng, size)
    box = jittered_box(rng, size, 0.7, 1.0)
    skin, hair = (
        vary(rng, pick(rng, SKIN[:5]), 12),
        vary(rng, pick(rng, ((30, 22, 18), (90, 60, 35), (190, 150, 90), (170, 170, 172)))),
    )
    put(rng, image, blob(rng, size, portion(box, -0.1, 0.6, 1.1, 1.6), 0.15), any_colour(rng, (0, 0.9), (0.05, 0.95)))
    middle, half = between(rng, 0.42, 0.58), between(rng, 0.15, 0.23)
    put(
        rng,
        image,
        blob(rng, size, portion(box, middle - half * 1.2, 0.02, middle + half * 1.2, between(rng, 0.4, 0.75)), 0.2),
        hair,
    )
    put(
        rng,
        image,
        blob(rng, size, portion(box, middle - half * 0.45, 0.4, middle + half * 0.45, 0.75), 0),
        shade(skin, 0.85),
    )
    head = portion(box, middle - half, 0.08, middle + half, 0.62)
    mask = blob(rng, size, head, 0.04)
    image.paste(lit(clouds(rng, size, (shade(skin, 0.92), skin)), rounded(rng, mask, 0.4)), mask=blurred(mask, 1))
    draw = ImageDraw.Draw(image)
    for u in (0.3, 0.7):
        draw.ellipse(portion(head, u - 0.1, 0.44, u + 0.1, 0.5), fill=(235, 230, 225))
        draw.ellipse(portion(head, u - 0.045, 0.435, u + 0.045, 0.505), fill=(45, 35, 30))
        draw.line(portion(head, u - 0.13, 0.38, u + 0.13, 0.37), fill=shade(hair, 0.8), width=2)
    draw.line(portion(head, 0.5, 0.5, 0.47, 0.66), fill=shade(skin, 0.75), width=2)
    draw.chord(
        portion(head, 0.3, between(rng, 0.66, 0.76), 0.7, 0.85),
        0,
        180,
        fill=pick(rng, ((165, 75, 70), (245, 240, 235), (120, 60, 55))),
    )
    if maybe(rng, 0.6):
        top = portion(head, -0.05, -0.08, 1.05, 0.5)
        draw.pieslice(top, 185, 355, fill=vary(rng, hair, 8))
    captions = (
        *phrases(("a face", "a person"), ("{}", "a photo of {}", "a picture of {}")),
        "a portrait",
        *PHOTO_CAPTIONS,
    )
    return Sketch(image, captions, "a face")


def animal(rng: Rng) -> Sketch:
    """A furry or feathered body with a head, ears, eyes; sometimes only the head, close by."""
    size = canvas_size(rng)
    image = backdrop(rng, size)
    close = maybe(rng, 0.4)
    box = jittered_box(rng, size, 0.95, 1.4 if close else 1.0)
    coat = pick(rng, COATS)
    tone = pick(rng, coat)
    if not close:
        body = portion(
            box, between(rng, 0, 0.2), between(rng, 0.35, 0.5), between(rng, 0.75, 1.1), between(rng, 0.85, 1.2)
        )
        for u in (0.2, 0.35, 0.6, 0.75):
            if maybe(rng, 0.6):
                leg = blob(rng, size, portion(body, u - 0.06, 0.6, u + 0.07, 1.5), 0.1)
                fur(rng, image, leg, coat)
        fur(rng, image, blob(rng, size, body, 0.3), coat)
    left, top = (0.1, 0.1) if close else (between(rng, 0, 0.5), between(rng, 0.05, 0.25))
    wide = 0.8 if close else between(rng, 0.3, 0.45)
    head = portion(box, left, top, left + wide, top + wide)
    ears = between(rng, -0.25, 0.1)
    for u in (0.02, 0.62):
        ear = Image.new("L", size)
        tips = [
            portion(head, u, 0.35, u, 0.35)[:2],
            portion(head, u + 0.16, ears, 1, 1)[:2],
            portion(head, u + 0.36, 0.25, 1, 1)[:2],
        ]
        ImageDraw.Draw(ear).polygon(tips, fill=255)
        fur(rng, image, ear, (shade(tone, 0.6), tone))
    fur(rng, image, blob(rng, size, head, 0.12), coat)
    draw = ImageDraw.Draw(image)
    iris = pick(rng, ((190, 170, 60), (110, 140, 70), (60, 40, 25), (20, 20, 20)))
    for u in (0.27, 0.73):
        draw.ellipse(portion(head, u - 0.09, 0.36, u + 0.09, 0.52), fill=iris, outline=(15, 12, 10), width=2)
        draw.ellipse(portion(head, u - 0.035, 0.37, u + 0.035, 0.51), fill=(8, 8, 8))
    draw.polygon(
        [portion(head, 0.4, 0.66, 1, 1)[:2], portion(head, 0.6, 0.66, 1, 1)[:2], portion(head, 0.5, 0.78, 1, 1)[:2]],
        fill=(120, 70, 65),
    )
    captions = (*phrases(("an animal",), ("{}", "a photo of {}", "a picture of {}")), "a furry animal", *PHOTO_CAPTIONS)
    return Sketch(image, captions)


def fur(rng: Rng, image: Image.Image, mask: Image.Image, coat: tuple[Colour, ...]) -> None:
    """Fill a mask with streaks in the colours of a coat, bent along a slow field."""
    width, height = image.size
    field = fractal(rng, image.size, between(rng, 30, 80), 2, 0.7, between(rng, 3, 8))
    drift = (fractal(rng, image.size, 3, 2) * 40).astype(np.int32)
    rows, columns = np.mgrid[0:height, 0:width]
    field = field[rows, (columns + drift + rows // 3) % width]
    slow = fractal(rng, image.size, between(rng, 2, 8), 2)
    coat_image = lit(coloured(0.55 * field + 0.45 * slow, coat), rounded(rng, mask, between(rng, 0.2, 0.5)))
    image.paste(coat_image, mask=blurred(mask, 1.2))


def blossom(rng: Rng) -> Sketch:
    """A flower close by: rings of petals around a heart, in front of leaves."""
    size = canvas_size(rng)
    image = blurred(foliage(rng, size), between(rng, 0, 9)) if maybe(rng, 0.7) else backdrop(rng, size)
    box = jittered_box(rng, size, 0.5, 0.98)
    x, y, radius = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 2
    hue = any_colour(rng, (0.3, 0.95), (0.75, 1))
    draw = ImageDraw.Draw(image)
    petals, rings = int(rng.integers(8, 22)), pick(rng, (1, 2, 2, 4, 6))
    for ring in range(rings):
        out = radius * (1 - ring / rings * 0.85)
        for angle in np.arange(petals) * 2 * np.pi / petals + ring * np.pi / petals:
            turn = angle + rng.normal(0, 0.06)
            t = np.linspace(0, 2 * np.pi, 14)
            u, v = out * (0.55 + 0.45 * np.cos(t)), out * np.sin(t) * min(0.45, 3.2 / petals)
            xs, ys = x + u * np.cos(turn) - v * np.sin(turn), y + u * np.sin(turn) + v * np.cos(turn)
            tone = shade(vary(rng, hue, 8), between(rng, 0.78, 1.1))
            draw.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=tone, outline=shade(tone, 0.75))
    if rings < 4:
        core = radius * between(rng, 0.2, 0.45)
        mask = blob(rng, size, (x - core, y - core, x + core, y + core), 0.03)
        heart = pick(rng, ((120, 85, 30), (70, 45, 25), (230, 190, 60), (90, 110, 40)))
        put(rng, image, mask, heart, 0.3)
    image = lit(mottle(rng, image, 0.1, 30), light_map(rng, size, between(rng, 0.05, 0.4)))
    captions = (*phrases(("a flower",), ("{}", "a photo of {}", "a picture of {}")), "a blossom", *OBJECT_CAPTIONS)
    return Sketch(image, captions, "a flower")


def meal(rng: Rng) -> Sketch:
    """Food on a plate, or a cup on its saucer, on a table from above at an angle."""
    size = canvas_size(rng)
    wood = pick(rng, ((140, 85, 45), (90, 60, 40), (200, 180, 150), (60, 60, 65), (30, 60, 45), (235, 232, 225)))
    image = lit(surface(rng, size, wood), light_map(rng, size, between(rng, 0.1, 0.5)))
    box = portion(jittered_box(rng, size, 0.75, 1.0), 0, 0.1, 1, between(rng, 0.75, 0.95))
    dish = pick(rng, ((245, 245, 242), (180, 60, 30), (60, 80, 110), (230, 215, 190), any_colour(rng)))
    put(rng, image, blob(rng, size, box, 0), dish, 0.25)
    if maybe(rng, 0.4):
        mug = portion(box, 0.25, -0.1, 0.75, 0.75)
        ImageDraw.Draw(image).ellipse(portion(mug, 0.8, 0.35, 1.25, 0.75), outline=shade(dish, 0.8), width=7)
        put(rng, image, blob(rng, size, mug, 0), shade(dish, 1.05), 0.3)
        drink = pick(rng, ((110, 60, 25), (60, 35, 20), (190, 120, 60)))
        put(rng, image, blob(rng, size, portion(mug, 0.1, 0.06, 0.9, 0.72), 0), drink, 0.2)
        captions = phrases(("a cup", "a cup of coffee"), ("{}", "a photo of {}", "a picture of {}"))
        return Sketch(image, (*captions, *OBJECT_CAPTIONS), "a cup")
    put(rng, image, blob(rng, size, portion(box, 0.12, 0.1, 0.88, 0.88), 0), shade(dish, 0.95), 0.2)
    for _ in range(int(rng.integers(1, 14))):
        x, y, r = between(rng, 0.25, 0.7), between(rng, 0.2, 0.65), between(rng, 0.06, 0.25)
        food = pick(
            rng, ((200, 130, 60), (190, 50, 40), (110, 140, 50), (235, 200, 90), (120, 70, 40), (240, 225, 200))
        )
        put(rng, image, blob(rng, size, portion(box, x - r, y - r / 2, x + r, y + r), 0.5), vary(rng, food), 0.5)
    return Sketch(image, ("a photo of food", "food on a plate", *OBJECT_CAPTIONS))


SUBJECTS: dict[str, Callable[[Rng], Sketch]] = {
    "thing": thing_photo, "portrait": portrait, "animal": animal, "blossom": blossom, "meal": meal,
}  # fmt: skip
