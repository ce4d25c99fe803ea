"""Cleans untrusted texts for storage: names of files, EXIF, reasons of failures."""

import unicodedata

MOST_NAME_CHARACTERS = 255
LONGEST_SUFFIX = 16
NAMELESS = "unnamed"

# Characters that change the direction of the following text: they make `gpj.exe` look like `exe.jpg`.
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_name(name: str | None) -> str:
    """The name under which an upload is listed: the last part of its path, 1–255 printable characters, or `unnamed`."""
    last = printable(name or "").replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not last.strip("."):
        return NAMELESS
    if len(last) <= MOST_NAME_CHARACTERS:
        return last
    stem, dot, suffix = last.rpartition(".")
    if not dot or len(suffix) > LONGEST_SUFFIX:
        return last[:MOST_NAME_CHARACTERS]
    return stem[: MOST_NAME_CHARACTERS - len(suffix) - 1] + dot + suffix


def printable(text: str, most: int | None = None) -> str:
    """`text` in normal form C, without control characters, lone surrogates and direction marks, cut to `most`.

    Line ends become spaces. Markup is kept: it must be escaped where the text is shown.
    """
    spaced = text if most is None else text[: 4 * most]
    normal = unicodedata.normalize("NFC", " ".join(spaced.splitlines()))
    kept = "".join(each for each in normal if unicodedata.category(each) not in {"Cc", "Cs"} and each not in _TURNING)
    return kept[:most]
