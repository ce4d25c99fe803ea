"""What pictures show, in words: the class of a scene; the caption of an arrangement, and how to read one back."""

import re
from collections import Counter
from collections.abc import Iterable

from training.drawing.colours import NAMED
from training.drawing.families.arrangement import MOST, NAMES, Thing
from training.drawing.families.drawings import NUMBERS, PLURALS, with_article

Group = tuple[str, str]  # the name of a thing and of its colour

# Classes of kinds of training/scenes.py; the class of any other kind is its name after the slash
CLASSES = {
    **{f"map/{style}": "street map" for style in ("carto", "atlas", "pale", "dark", "plain")},
    "map/transit": "transit map", "map/topographic": "topographic map", "map/region": "political map",
    "map/sketch": "sketch map",
    "aerial/fields": "aerial view of fields", "aerial/town": "aerial view of a town",
    "aerial/industry": "aerial view of an industrial area", "aerial/woods": "aerial view of woods",
    "aerial/shore": "aerial view of a shore", "aerial/highway": "aerial view of a road",
    "aerial/mosaic": "mosaic of aerial views",
    "page": "page of text", "sign": "traffic sign",
    "photo/thing": "photo of an object", "photo/portrait": "portrait", "photo/animal": "photo of an animal",
    "photo/blossom": "photo of a blossom", "photo/meal": "photo of a meal", "photo/lawn": "photo of animals on a lawn",
    "photo/perched": "photo of a bird", "photo/facade": "photo of house fronts", "photo/room": "photo of a room",
    "photo/bokeh": "blurred lights", "photo/overlap": "overlapping shapes", "photo/vagueness": "blurred picture",
    "photo/landscape": "landscape", "photo/tower": "photo of a tower",
}  # fmt: skip
MASS = ("photo/bokeh", "photo/overlap")  # kinds whose class takes no article
_COUNTS = {**NUMBERS, MOST: "five"}
_WORDS = {"a": 1, "an": 1, **{word: count for count, word in _COUNTS.items()}}
_SINGULAR = {PLURALS.get(name, f"{name}s"): name for name in NAMES} | {name: name for name in NAMES}


def class_of(kind: str) -> str:
    """What a scene of one of the kinds of training/scenes.py shows, in words."""
    return CLASSES.get(kind) or kind.removeprefix("drawing/")


def scene_caption(kind: str) -> str:
    """ "a street map": the caption of a scene of one of the kinds of training/scenes.py."""
    return class_of(kind) if kind in MASS else with_article(class_of(kind))


def groups(things: Iterable[Thing]) -> Counter[Group]:
    """The number of things of each name and colour."""
    return Counter((thing.name, thing.colour) for thing in things)


def caption(counts: Counter[Group]) -> str:
    """ "a red car, two blue stars and a green tree": equal things counted together, by name and then by colour."""
    phrases = [_phrase(*group, counts[group]) for group in sorted(counts)]
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _phrase(name: str, colour: str, count: int) -> str:
    if count == 1:
        return with_article(f"{colour} {name}")
    return f"{_COUNTS[count]} {colour} {PLURALS.get(name, f'{name}s')}"


def parsed(text: str) -> Counter[Group] | None:
    """The numbers that a caption gives for each name and colour; None for a text that `caption` would not write."""
    counts: Counter[Group] = Counter()
    for phrase in re.split(r",| and ", text):
        words = phrase.split()
        if len(words) != 3 or words[0] not in _WORDS or words[1] not in NAMED or words[2] not in _SINGULAR:
            return None
        counts[_SINGULAR[words[2]], words[1]] += _WORDS[words[0]]
    return counts


def vocabulary() -> list[str]:
    """Every word and punctuation mark of the captions, and of the classes of scenes."""
    texts = [*CLASSES.values(), *_WORDS, *_SINGULAR, *NAMED]
    return sorted({word for text in texts for word in text.split()} | {",", "and"})
