"""Reads EXIF as plain values that can be stored as JSON."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from deployments.catalogue.sql.texts import printable

MOST_TEXT = 1_000
MOST_VALUES = 64
MOST_ENTRIES = 256

# Tags that point to other entries, and opaque blobs.
_POINTERS = {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop}
_OPAQUE = {ExifTags.Base.MakerNote, ExifTags.Base.XMLPacket, ExifTags.Base.PrintImageMatching}
# A comment starts with eight bytes that name its encoding.
_ALPHABETS = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16", b"\0" * 8: "utf-8"}

Json = str | int | float | bool | None | list[Any] | dict[str, Any]


def read_exif(exif: Image.Exif, *, gps: bool = False) -> dict[str, Json]:
    """Read the entries of a picture's EXIF by their names, at most 256.

    Texts have at most 1,000 printable characters, lists at most 64 values. Entries without a name or a readable value
    are left out. Broken EXIF is not an error: as much of it is returned as can be read.

    Args:
        exif: EXIF as `deployments.pictures.decoding` returns it.
        gps: include where the picture was taken, under `GPSInfo` with `latitude` and `longitude` in degrees.
    """
    try:
        entries = _plain(exif.items(), ExifTags.TAGS)
    except Exception:  # Pillow's parsers raise errors of any type for broken EXIF
        return {}
    entries |= _part(exif, ExifTags.IFD.Exif, ExifTags.TAGS)
    if gps and (where := _part(exif, ExifTags.IFD.GPSInfo, ExifTags.GPSTAGS)):
        entries["GPSInfo"] = where | _degrees(where)
    return dict(list(entries.items())[:MOST_ENTRIES])


def _part(exif: Image.Exif, part: ExifTags.IFD, names: Mapping[int, str]) -> dict[str, Json]:
    try:
        return _plain(exif.get_ifd(part).items(), names)
    except Exception:  # as above
        return {}


def _plain(entries: Iterable[tuple[int, Any]], names: Mapping[int, str]) -> dict[str, Json]:
    plain: dict[str, Json] = {}
    for tag, value in entries:
        if tag in names and tag not in _POINTERS | _OPAQUE and (read := _value(value)) is not None:
            plain[names[tag]] = read
    return plain


def _value(value: Any) -> Json:
    """A value as JSON; None if it is empty or cannot be represented."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, str):
        return printable(_as_utf8(value), MOST_TEXT).strip() or None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float | IFDRational):
        return _number(value)
    if isinstance(value, tuple | list):
        values = [_value(each) for each in value[:MOST_VALUES]]
        return values if any(each is not None for each in values) else None
    return None


def _number(value: "float | IFDRational") -> float | None:
    try:
        number = float(value)
    except ZeroDivisionError:
        return None
    return number if math.isfinite(number) else None


def _text(value: bytes) -> str | int | None:
    """Bytes decoded as text; a single byte as a number; None if they are binary."""
    if len(value) == 1:
        return value[0]
    alphabet = _ALPHABETS.get(value[:8])
    try:
        text = (value if alphabet is None else value[8:]).decode(alphabet or "utf-8")
    except UnicodeDecodeError:
        return None
    if any(ord(each) < 32 and each not in "\0\t\r\n" for each in text):
        return None
    return printable(text, MOST_TEXT).strip() or None


def _as_utf8(text: str) -> str:
    """Repair a text that Pillow decoded as Latin-1, although cameras write UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _degrees(where: Mapping[str, Json]) -> dict[str, Json]:
    """Convert degrees, minutes and seconds to degrees, north and east positive. Invalid values are left out."""
    found: dict[str, Json] = {}
    for name, negative, most in (("Latitude", "S", 90), ("Longitude", "W", 180)):
        parts = where.get(f"GPS{name}")
        if not (isinstance(parts, list) and len(parts) == 3 and all(isinstance(part, int | float) for part in parts)):
            continue
        degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
        if 0 <= degrees <= most:
            found[name.lower()] = -degrees if where.get(f"GPS{name}Ref") == negative else degrees
    return found
