"""Provinces and municipalities, by their official names and by who published a decision."""

import re
import unicodedata

PROVINCES = (
    "Drenthe", "Flevoland", "Fryslân", "Gelderland", "Groningen", "Limburg",
    "Noord-Brabant", "Noord-Holland", "Overijssel", "Utrecht", "Zeeland", "Zuid-Holland",
)  # fmt: skip

# Names that people use, and the official ones; both as `folded` writes them.
PROVINCE_ALIASES = {"friesland": "fryslan", "brabant": "noord brabant"}
MUNICIPALITY_ALIASES = {"den haag": "s gravenhage", "den bosch": "s hertogenbosch"}


def folded(name: str) -> str:
    """A name without what people write differently: case, accents, hyphens, apostrophes and brackets."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.findall(r"\w+", plain))


def municipality_key(name: str) -> str:
    """What all ways of writing a municipality have in common; empty for a name without a letter.

    Any name has one: municipalities merge every year, and old decisions carry names that no present list knows.
    Namesakes are told apart as KOOP does it, by their province: `Bergen (NH)`, `Bergen (L)`.
    """
    key = folded(name).removeprefix("gemeente ")
    return MUNICIPALITY_ALIASES.get(key, key)


def province_key(name: str) -> str:
    """What all ways of writing a province have in common."""
    key = folded(name).removeprefix("provincie ")
    return PROVINCE_ALIASES.get(key, key)


def province(name: str) -> str:
    """The official name of a province; ValueError, with all twelve, for another name."""
    for official in PROVINCES:
        if province_key(official) == province_key(name):
            return official
    raise ValueError(f"{name!r} is not a province: choose from {', '.join(PROVINCES)}")
