"""Files of all kinds of oddities that lose no pixel: each shows `testbed.pictures.images.two_halves`."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from testbed.hostile.jpegs import EOI, SOI, segment
from testbed.hostile.pngs import chunk, zeros
from testbed.pictures.images import encoded, two_halves

SIZE = (60, 40)
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 200
TIFF_HEAD, TAG_BYTES = 8, 12


def jpeg(**options: Any) -> bytes:
    return encoded(two_halves(), "JPEG", quality=95, subsampling=0, **options)


def with_segments(*segments: bytes, then: bytes = b"") -> bytes:
    """A JPEG with these bytes behind its start, and others before its tables."""
    start, tables = SOI + b"".join(segments), jpeg()[2:]
    return start + tables[:18] + then + tables[18:]  # 18 bytes of JFIF


def with_profile(*parts: int, of: int) -> bytes:
    """A JPEG with these parts of a profile of so many."""
    return with_segments(*(segment(0xE2, b"ICC_PROFILE\0" + bytes([part, of]) + b"part") for part in parts))


def png(*before: bytes, after: bytes = b"", end: bool = True) -> bytes:
    """A PNG with these chunks before its pixels and after them."""
    whole = encoded(two_halves(), "PNG")
    pixels, last = whole.index(b"IDAT") - 4, whole.index(b"IEND") - 4
    return whole[:pixels] + b"".join(before) + whole[pixels:last] + after + (whole[last:] if end else b"")


def wrong(kind: bytes, body: bytes) -> bytes:
    """A chunk whose checksum is wrong."""
    return chunk(kind, body)[:-4] + b"\1\2\3\4"


def gif(*blocks: bytes, after: bytes = b"") -> bytes:
    """A GIF with these blocks before its frame and after it."""
    whole = encoded(two_halves(), "GIF")
    frame = 13 + (3 << (whole[10] & 7) + 1)
    return whole[:frame] + b"".join(blocks) + whole[frame:-1] + after + whole[-1:]


def webp(*after: bytes, size: int | None = None, before: bytes = b"") -> bytes:
    """A WebP with these chunks behind its picture and before it, which says that it has `size` bytes."""
    whole = encoded(two_halves(), "WEBP", lossless=True)
    body = before + whole[12:] + b"".join(after)
    return b"RIFF" + struct.pack("<I", len(body) + 4 if size is None else size) + b"WEBP" + body


def tiff(*entries: tuple[int, int, int, int], compression: str = "tiff_lzw") -> bytes:
    """A TIFF with these tags (number, type, count, value) among its own."""
    whole = encoded(two_halves(), "TIFF", compression=compression)
    [start] = struct.unpack_from("<I", whole, 4)
    [count] = struct.unpack_from("<H", whole, start)
    own = [whole[at : at + TAG_BYTES] for at in range(start + 2, start + 2 + count * TAG_BYTES, TAG_BYTES)]
    tags = sorted([*own, *(struct.pack("<HHII", *entry) for entry in entries)], key=lambda tag: tag[1::-1])
    directory = struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)
    return whole[:4] + struct.pack("<I", len(whole)) + whole[TIFF_HEAD:] + directory


def bmp_without_padding() -> bytes:
    """A BMP of 59 columns, whose rows are filled up to 180 bytes."""
    return encoded(two_halves().crop((0, 0, 59, 40)), "BMP")[:-3]


def noisy() -> bytes:
    """Bytes in which markers, chunks and blocks occur by chance."""
    return np.random.default_rng(1).bytes(200_000)


def _progressive_without_end() -> bytes:
    return jpeg(progressive=True).removesuffix(EOI)


def _flat_without_end() -> bytes:
    """Its last bytes are zeros of the last codes."""
    return jpeg(optimize=True).removesuffix(EOI)


def _restarting_without_end() -> bytes:
    return jpeg(restart_marker_blocks=1).removesuffix(EOI)


def _pieces(size: int, whole: bytes) -> bytes:
    """A PNG with its pixels in chunks of so many bytes."""
    start = whole.index(b"IDAT") - 4
    [length] = struct.unpack_from(">I", whole, start)
    body = whole[start + 8 : start + 8 + length]
    parts = b"".join(chunk(b"IDAT", body[at : at + size]) for at in range(0, length, size))
    return whole[:start] + parts + whole[start + 12 + length :]


def _animation_with_broken_frames() -> bytes:
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 7, 9999, 9999, 1, 1, 1, 1, 0, 0))
    return png(chunk(b"acTL", struct.pack(">II", 2, 0)), control, after=chunk(b"fdAT", b"\0\0\0\x09broken"))


# Chunks that no picture needs, or that are left out where they are broken.
CHUNKS = {
    b"tEXt": b"Comment\0text", b"iTXt": b"Comment\0\0\0\0\0text", b"iCCP": b"ICC\0\0" + zlib.compress(b"profile"),
    b"gAMA": struct.pack(">I", 45455), b"cHRM": bytes(32), b"sRGB": b"\0", b"pHYs": bytes(9), b"tIME": bytes(7),
    b"eXIf": b"II*\0\x08\0\0\0\0\0", b"tRNS": bytes(6), b"prVt": b"private",
}  # fmt: skip


def _with_wrong(kind: bytes, body: bytes) -> bytes:
    return png(wrong(kind, body))


def _with_short(kind: bytes) -> bytes:
    return png(chunk(kind, b""))


ODD_JPEGS: dict[str, Callable[[], bytes]] = {
    "jpeg before a film": lambda: jpeg() + FILM,
    "jpeg before zeros": lambda: jpeg() + bytes(5000),
    "jpeg before text": lambda: jpeg() + b"\nuploaded by a camera\n",
    "jpeg before another": lambda: jpeg() + encoded(Image.new("RGB", SIZE), "JPEG"),
    "jpeg and others, an MPO": lambda: encoded(
        two_halves(), "MPO", save_all=True, append_images=[Image.new("RGB", SIZE)], quality=95, subsampling=0
    ),
    "jpeg before a progressive one": lambda: jpeg() + jpeg(progressive=True) * 20,
    "jpeg before noise": lambda: jpeg() + noisy(),
    "jpeg with thumbnails of many scans": lambda: with_segments(segment(0xE1, b"Exif\0\0" + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 900)),
    "jpeg with an end of image in a segment": lambda: with_segments(segment(0xED, EOI + b"\xff\xda" * 300)),
    "jpeg without an end": lambda: jpeg().removesuffix(EOI),
    "jpeg with half an end": lambda: jpeg()[:-1],
    "jpeg without an end, filled with zeros": lambda: jpeg().removesuffix(EOI) + bytes(5000),
    "progressive jpeg without an end": _progressive_without_end,
    "optimised jpeg without an end": _flat_without_end,
    "jpeg of restarts without an end": _restarting_without_end,
    "jpeg with a broken index of pictures": lambda: with_segments(segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff")),
    "jpeg with an index of no pictures": lambda: with_segments(
        segment(0xE2, b"MPF\0II*\0\x08\0\0\0\1\0\0\xb0\7\0\4\0\0\0000100\0\0\0\0")
    ),
    "jpeg with a short JFIF": lambda: SOI + segment(0xE0, b"JFIF\0") + jpeg()[20:],
    "jpeg with a short Adobe": lambda: with_segments(segment(0xEE, b"Adobe")),
    "jpeg with a short Photoshop": lambda: with_segments(segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed")),
    "jpeg with a short profile": lambda: with_segments(segment(0xE2, b"ICC_PROFILE\0")),
    "jpeg with a part of a profile": lambda: with_profile(2, of=3),
    "jpeg with a profile in the wrong order": lambda: with_profile(3, 1, 2, of=3),
    "jpeg with broken EXIF": lambda: with_segments(segment(0xE1, b"Exif\0\0" + b"\xff" * 100)),
    "jpeg with an empty comment": lambda: with_segments(segment(0xFE, b"")),
    "jpeg with segments of length 0 and 1": lambda: with_segments(b"\xff\xe5\0\0", b"\xff\xe6\0\1"),
    "jpeg with garbage between segments": lambda: with_segments(then=b"garbage\0\1"),
    "jpeg with a marker in garbage": lambda: with_segments(then=b"gar\xff\x05bage\xff\xd8\xff\xd3"),
    "jpeg with fill bytes": lambda: with_segments(then=b"\xff" * 1000),
    "jpeg with 100,000 segments": lambda: with_segments(segment(0xE5, b"") * 100_000),
    "jpeg behind a line end": lambda: b"\r\n" + jpeg(),
    "jpeg behind a byte order mark": lambda: b"\xef\xbb\xbf" + jpeg(),
    "jpeg behind zeros": lambda: bytes(512) + jpeg(),
}  # fmt: skip

ODD_PNGS: dict[str, Callable[[], bytes]] = {
    "png before another": lambda: png() + encoded(Image.new("RGB", SIZE), "PNG"),
    "png before noise": lambda: png() + noisy(),
    "png without an end": lambda: png(end=False),
    "png without its last checksum": lambda: png(end=False)[:-4],
    "png without the checksum of its pixels": lambda: png(end=False)[:-8],
    "png cut in its end": lambda: png()[:-5],
    "png of many chunks without an end": lambda: _pieces(7, png(end=False)),
    "png with a chunk cut off behind its pixels": lambda: png(after=chunk(b"tEXt", b"Comment\0text"), end=False)[:-9],
    "png with a long compressed text": lambda: png(chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 21))),
    "png with it behind its pixels": lambda: png(after=chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 21))),
    "png with a long international text": lambda: png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(1 << 21))),
    "png with a text compressed twice": lambda: png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(zeros(1 << 26)))),
    "png with a profile compressed twice": lambda: png(chunk(b"iCCP", b"ICC\0\0" + zlib.compress(zeros(1 << 24)))),
    "png with much text": lambda: png(chunk(b"tEXt", b"Comment\0" + b"a" * (1 << 20)) * 30),
    "png with a long profile": lambda: png(chunk(b"iCCP", b"ICC\0\0" + zeros(1 << 24))),
    "png with a profile that is none": lambda: png(chunk(b"iCCP", b"ICC\0\0no profile")),
    "png with an unknown compression of a profile": lambda: png(chunk(b"iCCP", b"ICC\0\7" + zlib.compress(b"profile"))),
    "png with an unknown compression of a text": lambda: png(chunk(b"zTXt", b"Comment\0\7text")),
    "png with a name that is no text": lambda: png(chunk(b"iTXt", b"\xff\xfe\0\0\0\xff\0\xff\0\xff")),
    **{f"png with a wrong checksum of {kind.decode()}": partial(_with_wrong, kind, body) for kind, body in CHUNKS.items()},
    **{f"png with a short {kind.decode()}": partial(_with_short, kind) for kind in (*CHUNKS, b"acTL", b"zTXt")},
    "png with a wrong checksum of its pixels": lambda: png()[: png().index(b"IEND") - 8] + bytes(4) + chunk(b"IEND", b""),
    "png with the transparency of another type": lambda: png(chunk(b"tRNS", b"\0\1")),
    "png with broken frames": _animation_with_broken_frames,
    "png behind blanks": lambda: b" \r\n" + png(),
}  # fmt: skip

ODD_OTHERS: dict[str, Callable[[], bytes]] = {
    "gif before noise": lambda: gif() + noisy(),
    "gif without an end": lambda: gif()[:-1],
    "gif without the end of its frame": lambda: gif()[:-2],
    "gif with an empty extension": lambda: gif(b"!\xff\0", b"!\xfe\0"),
    "gif with a short control": lambda: gif(b"!\xf9\1\1\0", b"!\xf9\0"),
    "gif with a broken loop": lambda: gif(b"!\xff\x0bNETSCAPE2.0\1\1\0"),
    "gif with XMP": lambda: gif(b"!\xff\x0bXMP DataXMP" + b"<x/>" * 63 + bytes(range(255, -1, -1)) + b"\0\0"),
    "gif with comments": lambda: gif(b"!\xfe\1a\0" * 50_000),
    "gif with a broken second frame": lambda: gif(after=b",\0\0\0\0\xff\xff\xff\xff\0\x09\1\0"),
    "webp before noise": lambda: webp() + noisy(),
    "webp of size 0": lambda: webp(size=0),
    "webp of a huge size": lambda: webp(size=0xFFFFFFFF),
    "webp that says to be longer": lambda: webp(size=len(webp()) + 1),
    "webp that says to be shorter": lambda: webp(size=len(webp()) - 11),
    "webp with an unknown chunk": lambda: webp(before=b"what\3\0\0\0abc\0"),
    "webp with a text cut off": lambda: webp(b"XMP \xff\0\0\0<x"),
    "tiff before noise": lambda: tiff() + noisy(),
    "tiff with a private tag of an unknown type": lambda: tiff((65000, 99, 1, 1)),
    "tiff with an unknown orientation": lambda: tiff((274, 3, 1, 99), compression="raw"),
    "tiff with EXIF that is a picture": lambda: tiff((34853, 4, 1, 8), compression="raw"),
    "bmp of no stated size": lambda: b"BM" + bytes(4) + encoded(two_halves(), "BMP")[6:],
    "bmp before noise": lambda: encoded(two_halves(), "BMP") + noisy(),
}  # fmt: skip

ODD: dict[str, Callable[[], bytes]] = {**ODD_JPEGS, **ODD_PNGS, **ODD_OTHERS, "jpeg 2000 twice": lambda: encoded(two_halves(), "JPEG2000") * 2,
       "jpeg 2000 without an end": lambda: encoded(two_halves(), "JPEG2000")[:-2]}  # fmt: skip
