"""Why a file cannot be decoded, by what its bytes are."""

import struct
from collections.abc import Callable

from deployments.pictures import formats
from deployments.pictures.mending import jpeg, png
from deployments.pictures.mending.mend import without_lead
from deployments.pictures.refusals import PictureBroken, PictureUnread
from deployments.pictures.refused import others, tiff, variants

# The formats that are read, by their first bytes.
NAMES = {
    b"\xff\xd8": "JPEG", png.SIGNATURE: "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
}  # fmt: skip
CODESTREAMS = (b"\xff\x4f\xff\x51", b"\xff\x0a")  # without boxes that tell where they end
SAVE = "Open it in a program that still shows it, and save or export it again."


def refusal(data: bytes) -> PictureBroken:
    """The refusal of a file that could not be decoded: what it is, and what to do about it, in whole sentences."""
    data = without_lead(data)
    if (variant := variants.told(data)) is not None:
        return PictureUnread(variant)
    return PictureBroken(_told(data))


def _told(data: bytes) -> str:
    name = _format(data)
    if name is None:
        return others.told(data) or f"This is not an image that can be read: send {formats.SUPPORTED}."
    if data.startswith(CODESTREAMS):
        return f"This {name} is broken or cut off: send the whole file, or save or export it again."
    if CUT.get(name, _cut_boxes)(data):
        return f"This {name} is cut off: part of its pixels is missing. Send the whole file."
    return f"This {name} is broken: its data cannot be decoded. {SAVE}"


def _format(data: bytes) -> str | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if (kind := formats.kind_apart(data)) is not None:
        return formats.NAMES[kind]
    return next((name for magic, name in NAMES.items() if data.startswith(magic)), None)


def _cut_jpeg(data: bytes) -> bool:
    return all(marker != jpeg.END for marker, *_ in jpeg.segments(data))


def _cut_png(data: bytes) -> bool:
    return all(chunk.kind != png.END for chunk in png.chunks(data))


def _cut_gif(data: bytes) -> bool:
    return not data.rstrip(b"\0\r\n").endswith(b";")


def _cut_bmp(data: bytes) -> bool:
    if len(data) < 30:
        return True
    start, _, width, height, _, bits = struct.unpack_from("<IIiiHH", data, 10)
    rows = (width * bits + 31) // 32 * 4 * abs(height)
    return bool(len(data) < start + rows)


def _cut_tiff(data: bytes) -> bool:
    tags = tiff.directory(data)
    return not 0 < tiff.end(tags) <= len(data)


def _cut_webp(data: bytes) -> bool:
    return len(data) < 8 + int.from_bytes(data[4:8], "little")


def _cut_boxes(data: bytes) -> bool:
    """Whether a box of HEIF, AVIF, JPEG 2000 or JPEG XL ends behind the end of the file."""
    place = 0
    while place + 16 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size < 8:
            return False  # it reaches to the end, or is none
        place += size
    return place > len(data)


CUT: dict[str, Callable[[bytes], bool]] = {
    "JPEG": _cut_jpeg, "PNG": _cut_png, "GIF": _cut_gif, "BMP": _cut_bmp, "TIFF": _cut_tiff, "WebP": _cut_webp,
}  # fmt: skip
