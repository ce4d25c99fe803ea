"""Traffic signs: prohibition, warning, mandatory, parking and stop signs, on a post in front of something."""

import numpy as np
from PIL import Image, ImageDraw

from training.drawing.chance import Box, Point, Rng, Sketch, between, canvas_size, jittered_box, maybe, pick
from training.drawing.colours import Colour, any_colour, vary
from training.drawing.effects import blurred, clouds, light_map, lit
from training.drawing.lettering import font, phrases

RED: Colour = (196, 28, 34)
BLUE: Colour = (20, 76, 164)
WHITE: Colour = (248, 248, 248)
BLACK: Colour = (15, 15, 15)
YELLOW: Colour = (250, 205, 20)
SIGN_CAPTIONS = (*phrases(("a traffic sign", "a road sign", "a sign")), "signs", "a traffic sign on a post")


def traffic_sign(rng: Rng) -> Sketch:
    """A sign, alone on a plain ground or on its post outdoors."""
    size = canvas_size(rng)
    image = background(rng, size)
    box = jittered_box(rng, size, 0.5, 0.92)
    layer = Image.new("RGBA", size)
    draw = ImageDraw.Draw(layer)
    middle = (box[0] + box[2]) / 2
    if maybe(rng, 0.6):
        post = (box[2] - box[0]) * between(rng, 0.03, 0.06)
        draw.rectangle((middle - post, box[3] - 10, middle + post, size[1]), fill=vary(rng, (130, 130, 135), 30))
    caption = pick(rng, (prohibition, warning, mandatory, parking, stop, give_way, priority))(rng, draw, box)
    layer = layer.rotate(between(rng, -7, 7), center=(middle, (box[1] + box[3]) / 2), resample=Image.Resampling.BICUBIC)
    image.paste(layer, mask=layer)
    if maybe(rng, 0.4):
        image = lit(image, light_map(rng, size, between(rng, 0.1, 0.35)))
    return Sketch(image, SIGN_CAPTIONS + phrases((caption,)), "a traffic sign")


def background(rng: Rng, size: tuple[int, int]) -> Image.Image:
    """White, a plain colour, or a blurred outdoors: sky above green or grey."""
    if maybe(rng, 0.35):
        return Image.new("RGB", size, WHITE if maybe(rng, 0.5) else any_colour(rng))
    sky, ground = any_colour(rng, (0.1, 0.5), (0.6, 1)), pick(rng, ((80, 105, 60), (120, 120, 118), (140, 110, 85)))
    image = clouds(rng, size, (sky, vary(rng, sky, 40)), 3)
    horizon = round(size[1] * between(rng, 0.35, 0.9))
    image.paste(
        clouds(rng, size, (ground, vary(rng, ground, 60)), 12).crop((0, 0, size[0], size[1] - horizon)), (0, horizon)
    )
    return blurred(image, between(rng, 1, 7))


def inset(box: Box, share: float) -> Box:
    """The box with `share` of its side taken off all around."""
    margin = (box[2] - box[0]) * share
    return box[0] + margin, box[1] + margin, box[2] - margin, box[3] - margin


def regular(box: Box, corners: int, turn: float) -> list[Point]:
    """A regular polygon in the box; `turn` in radians, 0 has a corner on top."""
    x, y, radius = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 2
    angles = np.arange(corners) * 2 * np.pi / corners + turn
    return [(float(x + radius * np.sin(a)), float(y - radius * np.cos(a))) for a in angles]


def write(draw: ImageDraw.ImageDraw, box: Box, text: str, share: float, ink: Colour) -> None:
    """A text in the middle of the box, `share` of it high."""
    at = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    size = max(8, round((box[3] - box[1]) * share))
    draw.text(at, text, fill=ink, font=font(size), anchor="mm", stroke_width=size // 16)


def symbol(rng: Rng, draw: ImageDraw.ImageDraw, box: Box, ink: Colour) -> None:
    """An arrow, a bar, an exclamation mark, a person or a vehicle."""
    x0, y0, x1, y1 = inset(box, 0.3)
    x, y, unit = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 10
    kind = int(rng.integers(5))
    if kind == 0:
        draw.line((x, y1, x, y0), fill=ink, width=round(unit * 2))
        draw.polygon([(x - 3 * unit, y0 + 3 * unit), (x + 3 * unit, y0 + 3 * unit), (x, y0 - unit)], fill=ink)
    elif kind == 1:
        draw.line((x1, y, x0, y), fill=ink, width=round(unit * 2))
        draw.polygon([(x0 + 3 * unit, y - 3 * unit), (x0 + 3 * unit, y + 3 * unit), (x0 - unit, y)], fill=ink)
    elif kind == 2:
        write(draw, box, "!", 0.6, ink)
    elif kind == 3:
        draw.ellipse((x - unit * 1.2, y0 - unit, x + unit * 1.2, y0 + 1.5 * unit), fill=ink)
        draw.line((x, y0 + unit, x, y + unit), fill=ink, width=round(unit * 2))
        draw.line((x - 2 * unit, y1, x, y + unit, x + 2 * unit, y1), fill=ink, width=round(unit * 1.3))
    else:
        draw.rectangle((x0, y, x1, y + 2.5 * unit), fill=ink)
        draw.polygon(
            [(x0 + 2 * unit, y), (x0 + 3 * unit, y - 2 * unit), (x1 - 3 * unit, y - 2 * unit), (x1 - 2 * unit, y)],
            fill=ink,
        )
        for wheel in (x0 + 2.2 * unit, x1 - 2.2 * unit):
            draw.ellipse((wheel - unit, y + 1.8 * unit, wheel + unit, y + 3.8 * unit), fill=ink)


def prohibition(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """A red ring with a number, a symbol or a bar; or no entry."""
    kind = int(rng.integers(4))
    if kind == 0:
        draw.ellipse(box, fill=RED, outline=WHITE, width=2)
        x0, y0, x1, y1 = inset(box, 0.14)
        high = (y1 - y0) * 0.12
        draw.rectangle((x0, (y0 + y1) / 2 - high, x1, (y0 + y1) / 2 + high), fill=WHITE)
        return "a no entry sign"
    draw.ellipse(box, fill=RED)
    draw.ellipse(inset(box, between(rng, 0.09, 0.14)), fill=YELLOW if maybe(rng, 0.1) else WHITE)
    if kind == 1:
        write(draw, box, pick(rng, ("30", "50", "60", "70", "80", "100", "120")), 0.42, BLACK)
        return "a speed limit sign"
    symbol(rng, draw, box, BLACK)
    if maybe(rng, 0.4):
        x0, y0, x1, y1 = inset(box, 0.16)
        draw.line((x0, y0, x1, y1), fill=RED, width=round((x1 - x0) * 0.12))
    return "a prohibition sign"


def warning(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """A triangle with a red rim, or a yellow diamond, with a symbol."""
    if maybe(rng, 0.3):
        draw.polygon(regular(box, 4, 0), fill=BLACK)
        draw.polygon(regular(inset(box, 0.03), 4, 0), fill=YELLOW)
        symbol(rng, draw, inset(box, 0.06), BLACK)
    else:
        draw.polygon(regular(box, 3, 0), fill=RED)
        draw.polygon(regular(inset(box, 0.13), 3, 0), fill=YELLOW if maybe(rng, 0.2) else WHITE)
        symbol(rng, draw, inset(box, 0.12), BLACK)
    return "a warning sign"


def mandatory(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """A blue disc with a white symbol."""
    draw.ellipse(box, fill=WHITE)
    draw.ellipse(inset(box, 0.03), fill=BLUE)
    symbol(rng, draw, box, WHITE)
    return "a blue traffic sign"


def parking(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """A blue square with a P, or with a symbol."""
    draw.rectangle(box, fill=WHITE)
    draw.rectangle(inset(box, 0.03), fill=BLUE)
    if maybe(rng, 0.6):
        write(draw, box, "P", 0.75, WHITE)
        return "a parking sign"
    symbol(rng, draw, box, WHITE)
    return "a blue traffic sign"


def stop(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """The red octagon."""
    draw.polygon(regular(box, 8, np.pi / 8), fill=WHITE)
    draw.polygon(regular(inset(box, between(rng, 0.03, 0.05)), 8, np.pi / 8), fill=RED)
    write(draw, box, "STOP", 0.26, WHITE)
    return "a stop sign"


def give_way(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """The triangle that stands on its tip."""
    draw.polygon(regular(box, 3, np.pi), fill=RED)
    draw.polygon(regular(inset(box, between(rng, 0.12, 0.18)), 3, np.pi), fill=WHITE)
    return "a give way sign"


def priority(rng: Rng, draw: ImageDraw.ImageDraw, box: Box) -> str:
    """The yellow diamond with a white rim."""
    draw.polygon(regular(box, 4, 0), fill=BLACK)
    draw.polygon(regular(inset(box, 0.015), 4, 0), fill=WHITE)
    draw.polygon(regular(inset(box, between(rng, 0.12, 0.16)), 4, 0), fill=YELLOW)
    return "a priority road sign"
