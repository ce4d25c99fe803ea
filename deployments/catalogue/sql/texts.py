"""Text that strangers send, made fit to be stored: names of files, EXIF, reasons of failures."""

import unicodedata

MOST_NAME_CHARACTERS = 255
LONGEST_SUFFIX = 16
NAMELESS = "unnamed"

# Marks that change the direction of what follows: they make `gpj.exe` read `exe.jpg`.
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_name(name: str | None) -> str:
    """The name under which an upload is listed: its last part, 1–255 printable characters; `unnamed` without any."""
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
    """`text` in normal form C without control characters, lone surrogates and marks of direction, cut to `most`.

    Line ends become spaces. Markup stays as it is: whoever shows the text escapes it.
    """
    spaced = text if most is None else text[: 4 * most]
    normal = unicodedata.normalize("NFC", " ".join(spaced.splitlines()))
    kept = "".join(each for each in normal if unicodedata.category(each) not in {"Cc", "Cs"} and each not in _TURNING)
    return kept[:most]
