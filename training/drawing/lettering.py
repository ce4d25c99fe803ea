"""Words, and how to write them on a picture. The font is Pillow's own, so that scenes look alike on every machine."""

import functools
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from training.drawing.chance import Point, Rng, maybe, pick
from training.drawing.colours import Colour

SYLLABLES = (
    "ar", "bel", "con", "da", "el", "fa", "ge", "hol", "in", "jo", "ka", "lin", "mor", "na", "os", "pe", "qua", "ri",
    "sta", "ten", "um", "ver", "wal", "yo", "zan", "ber", "der", "ing", "lo",
)  # fmt: skip
STREETS = ("Street", "Road", "Avenue", "Lane", "Way", "straat", "weg", "laan", "plein", "gracht", "Strasse", "Rue")


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font at a height of `size` pixels."""
    return ImageFont.load_default(size)


def word(rng: Rng) -> str:
    """A made-up word of one to four syllables."""
    return "".join(pick(rng, SYLLABLES) for _ in range(int(rng.integers(1, 5))))


def sentence(rng: Rng, words: int) -> str:
    """A made-up sentence."""
    return " ".join(word(rng) for _ in range(words)).capitalize() + "."


def place_name(rng: Rng, street: bool = False) -> str:
    """A made-up name of a place, or of a street."""
    name = word(rng).capitalize()
    if street:
        return f"{name} {pick(rng, STREETS)}"
    return f"{name} {word(rng).capitalize()}" if maybe(rng, 0.3) else name


def label(
    image: Image.Image, at: Point, text: str, size: int, ink: Colour, halo: Colour | None = None, degrees: float = 0
) -> None:
    """Write the text centred on a point, turned counter-clockwise by `degrees`, outlined where `halo` is given."""
    edge = 2 if halo else 0
    left, top, right, bottom = font(size).getbbox(text)
    extent = (round(right - left) + 2 * edge + 2, round(bottom - top) + 2 * edge + 2)
    layer = Image.new("RGBA", extent, (*(halo or ink), 0))
    where = (edge + 1 - left, edge + 1 - top)
    ImageDraw.Draw(layer).text(where, text, fill=ink, font=font(size), stroke_width=edge, stroke_fill=halo)
    if degrees:
        layer = layer.rotate(degrees, expand=True, resample=Image.Resampling.BILINEAR)
    image.paste(layer, (round(at[0] - layer.width / 2), round(at[1] - layer.height / 2)), layer)


def paragraph(
    rng: Rng, draw: ImageDraw.ImageDraw, at: Point, width: float, lines: int, size: int, ink: Colour
) -> float:
    """Set lines of made-up words, ragged right, and return the y below the last one."""
    x, y = at
    for index in range(lines):
        line = fitted(rng, width * (0.55 if index == lines - 1 else 1), size)
        draw.text((x, y), line, fill=ink, font=font(size))
        y += size * 1.35
    return y


def fitted(rng: Rng, width: float, size: int) -> str:
    """Made-up words that just fit a width in pixels."""
    words: list[str] = []
    while font(size).getlength(" ".join(words)) < width and len(words) < 40:
        words.append(word(rng))
    return " ".join(words[:-1]) if len(words) > 1 else words[0]


def phrases(names: Sequence[str], frames: Sequence[str] = ("{}", "a picture of {}")) -> tuple[str, ...]:
    """Every name in every frame ("a photo of {}"), as captions."""
    return tuple(frame.format(name) for frame in frames for name in names)
