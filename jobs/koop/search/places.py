"""The names of provinces and municipalities, and keys that are equal for different ways of writing them."""

import re
import unicodedata

PROVINCES = (
    "Drenthe", "Flevoland", "Fryslân", "Gelderland", "Groningen", "Limburg",
    "Noord-Brabant", "Noord-Holland", "Overijssel", "Utrecht", "Zeeland", "Zuid-Holland",
)  # fmt: skip

# Common names and the official ones they stand for, both as `folded` writes them.
PROVINCE_ALIASES = {"friesland": "fryslan", "brabant": "noord brabant"}
MUNICIPALITY_ALIASES = {"den haag": "s gravenhage", "den bosch": "s hertogenbosch"}


def folded(name: str) -> str:
    """A name without what is often written differently: case, accents, hyphens, apostrophes and brackets."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.findall(r"\w+", plain))


def municipality_key(name: str) -> str:
    """A key that is equal for all ways of writing the name of a municipality; empty for a name without a letter.

    Names are not checked against a list, because municipalities merge every year and old decisions have names that no
    current list has. Municipalities of the same name are distinguished as KOOP does: `Bergen (NH)`, `Bergen (L)`.
    """
    key = folded(name).removeprefix("gemeente ")
    return MUNICIPALITY_ALIASES.get(key, key)


def province_key(name: str) -> str:
    """A key that is equal for all ways of writing the name of a province."""
    key = folded(name).removeprefix("provincie ")
    return PROVINCE_ALIASES.get(key, key)


def province(name: str) -> str:
    """The official name of a province.

    Raises:
        ValueError: there is no such province; the message lists all twelve.
    """
    for official in PROVINCES:
        if province_key(official) == province_key(name):
            return official
    raise ValueError(f"{name!r} is not a province: choose from {', '.join(PROVINCES)}")
