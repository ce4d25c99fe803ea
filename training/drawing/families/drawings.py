"""Drawings of shapes and things: one or several, flat or with light and texture, on a plain or a patterned ground."""

from PIL import Image, ImageDraw

from training.drawing.chance import Box, Rng, Sketch, between, canvas_size, jittered_box, maybe, pick
from training.drawing.colours import CHROMATIC, NAMED, Colour, any_colour, mix, named, vary
from training.drawing.effects import blurred, clouds, light_map, lit, mottle, rounded
from training.drawing.objects import SHAPES, THINGS, Drawer, own_colour

MISC_CAPTIONS = ("miscellaneous content", "anything else", "other content")
NUMBERS = {2: "two", 3: "three", 4: "four"}
PLURALS = {"fish": "fish", "cross": "crosses"}
LABELLED = ("house", "tree", "car", "cup", "face", "flower", "star", "circle")


def with_article(words: str) -> str:
    """ "red car" to "a red car"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def drawing(rng: Rng, name: str) -> Sketch:
    """One shape or thing by name; its label where it is one of the LABELLED."""
    return in_colour(rng, name, *drawing_colour(rng, name))


def in_colour(rng: Rng, name: str, colour_name: str, colour: Colour) -> Sketch:
    """One shape or thing in a given colour."""
    size = canvas_size(rng)
    image = place(rng, ground(rng, size, colour), name, colour, jittered_box(rng, size, 0.4, 0.92))
    label = with_article(name) if name in LABELLED else None
    return Sketch(image, captions_for(name, colour_name, 1), label)


def several(rng: Rng) -> Sketch:
    """Two to four of one shape or thing in one colour."""
    name = pick(rng, ("circle", "star", "square", "triangle", "heart", "car", "house", "tree", "flower", "cup", "fish"))
    count = int(rng.integers(2, 5))
    colour_name, colour = drawing_colour(rng, name)
    size = canvas_size(rng)
    image = ground(rng, size, colour)
    short = min(size)
    left, top = (size[0] - short) / 2, (size[1] - short) / 2
    cells = [(0, 0), (1, 0), (0, 1), (1, 1)]
    rng.shuffle(cells)
    side = short * between(rng, 0.32, 0.46)
    for u, v in cells[:count]:
        x = left + short * (0.25 + 0.5 * u) + between(rng, -0.02, 0.02) * short
        y = top + short * (0.25 + 0.5 * v) + between(rng, -0.02, 0.02) * short
        image = place(rng, image, name, colour, (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
    return Sketch(image, captions_for(name, colour_name, count))


def drawing_colour(rng: Rng, name: str) -> tuple[str, Colour]:
    """The name of a colour and a shade of it: any for a shape, one that suits it for a thing."""
    if name in THINGS:
        return own_colour(rng, name)
    colour_name = pick(rng, tuple(NAMED)) if maybe(rng, 0.5) else pick(rng, CHROMATIC)
    return colour_name, named(rng, colour_name)


def captions_for(name: str, colour_name: str, count: int) -> tuple[str, ...]:
    """All captions that are true of `count` such shapes or things."""
    if count == 1:
        bare, coloured = with_article(name), with_article(f"{colour_name} {name}")
    else:
        plural = PLURALS.get(name, f"{name}s")
        bare, coloured = f"{NUMBERS[count]} {plural}", f"{NUMBERS[count]} {colour_name} {plural}"
    named_things: tuple[str, ...] = (bare,) if name == "face" else (bare, coloured)
    frames = ("{}", "a drawing of {}", "a picture of {}", "a photo of {}")
    captions = tuple(frame.format(thing) for frame in frames for thing in named_things)
    if name in SHAPES:
        captions += ("a drawing of a shape", "a shape", f"something {colour_name}")
    else:
        captions += ("a photo of an object", "an object")
    if name == "face":
        captions += ("a photo of a person", "a person")
    if name in ("cat", "fish"):
        captions += ("a photo of an animal", "an animal")
    return captions + MISC_CAPTIONS


def ground(rng: Rng, size: tuple[int, int], colour: Colour) -> Image.Image:
    """A background for a drawing of this colour: plain, cloudy or blurred, and never of a similar colour."""
    base = contrasting(rng, colour)
    kind = int(rng.integers(4))
    if kind <= 1:
        return Image.new("RGB", size, base)
    image = clouds(rng, size, (base, mix(base, contrasting(rng, colour), 0.4)), between(rng, 2, 14))
    return blurred(image, between(rng, 1, 6)) if kind == 2 else image


def contrasting(rng: Rng, colour: Colour) -> Colour:
    """White or a muted colour that differs clearly from the given one."""
    for _ in range(20):
        base = (250, 250, 250) if maybe(rng, 0.35) else any_colour(rng, (0.0, 0.5), (0.1, 1))
        if sum(abs(a - b) for a, b in zip(base, colour, strict=True)) > 170:
            return vary(rng, base, 5)
    return (250, 250, 250) if sum(colour) < 380 else (20, 20, 20)


def place(rng: Rng, image: Image.Image, name: str, colour: Colour, box: Box) -> Image.Image:
    """Draw one thing into the box, turned a little; in some pictures with texture, light and a shadow."""
    layer = turned(rng, image.size, name, colour, box)
    mask, thing = layer.getchannel("A"), layer.convert("RGB")
    if maybe(rng, 0.45):
        thing = textured(rng, thing, mask)
        offset = round((box[2] - box[0]) * 0.05)
        image.paste((0, 0, 0), (offset, offset), shadow(mask))
    image.paste(thing, mask=mask)
    return lit(image, light_map(rng, image.size, 0.12)) if maybe(rng, 0.2) else image


def turned(rng: Rng, size: tuple[int, int], name: str, colour: Colour, box: Box) -> Image.Image:
    """One thing in the box, turned a little, on a transparent ground of this size (RGBA)."""
    draw: Drawer = SHAPES[name] if name in SHAPES else THINGS[name]
    layer = Image.new("RGBA", size, (*colour, 0))
    draw(rng, ImageDraw.Draw(layer), box, colour)
    turn = between(rng, -12, 12)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return layer.rotate(turn, center=centre, resample=Image.Resampling.BICUBIC, fillcolor=(*colour, 0))


def textured(rng: Rng, thing: Image.Image, mask: Image.Image) -> Image.Image:
    """The thing with a rough surface and, in most cases, with light from one side."""
    thing = mottle(rng, thing, between(rng, 0.05, 0.25), between(rng, 6, 40))
    return lit(thing, rounded(rng, mask, between(rng, 0.2, 0.5))) if maybe(rng, 0.6) else thing


def shadow(mask: Image.Image) -> Image.Image:
    """The mask of the soft shadow that a thing throws."""
    return blurred(mask, 4).point(lambda value: value * 0.4)
