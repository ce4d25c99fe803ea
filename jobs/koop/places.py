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


def municipality(name: str) -> str:
    """What two names of one municipality have in common.

    Any name is accepted: municipalities merge every year, and old decisions carry names that no present list knows.
    Namesakes are told apart as KOOP does it, by their province: `Bergen (NH)`, `Bergen (L)`.

    Raises:
        ValueError: it has no letter.
    """
    key = folded(name).removeprefix("gemeente ")
    if not key:
        raise ValueError(f"{name!r} is not the name of a municipality")
    return MUNICIPALITY_ALIASES.get(key, key)


def province(name: str) -> str:
    """The official name of a province; ValueError, with all twelve, for another name."""
    key = folded(name).removeprefix("provincie ")
    key = PROVINCE_ALIASES.get(key, key)
    for official in PROVINCES:
        if folded(official) == key:
            return official
    raise ValueError(f"{name!r} is not a province: choose from {', '.join(PROVINCES)}")
