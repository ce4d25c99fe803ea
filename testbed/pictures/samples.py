"""PNG, TIFF, GIF and BMP files with samples of every kind, written byte by byte: no library writes them all."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.hostile.pngs import SIGNATURE, chunk

Values = NDArray[Any]
Order = Literal["<", ">"]
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def png(values: Values, bits: int = 8, *, chunks: bytes = b"") -> bytes:
    """A PNG of (h, w) or (h, w, n) unsigned values of so many bits; `chunks` stand before its pixels."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    packed = packed_bits(values.reshape(height, -1), bits)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", width, height, bits, PNG_COLOURS[channels], 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def packed_bits(rows: Values, bits: int) -> NDArray[np.uint8]:
    """(h, n) unsigned values as rows of bytes, most significant bits first and without gaps in a row."""
    single = (rows[..., np.newaxis].astype(np.uint64) >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & 1
    return np.packbits(single.reshape(len(rows), -1).astype(np.uint8), axis=1)


BYTE, SHORT, LONG, ASCII, DOUBLE = "B", "H", "I", "s", "d"
TYPES = {BYTE: 1, ASCII: 2, SHORT: 3, LONG: 4, DOUBLE: 12}
RAW, DEFLATE = 1, 8
SUBFILE, ORIENTATION, PAGE, EXTRA, MAXIMUM, NO_DATA, PROFILE = 254, 274, 297, 338, 281, 42113, 34675
LOWEST, HIGHEST, PREDICTOR, CHILDREN, OLD_SUBFILE = 340, 341, 317, 330, 255


@dataclass(frozen=True)
class Page:
    """A picture of a TIFF.

    Attributes:
        values: (h, w) or (h, w, n) of any type.
        bits: of a sample, if not all those of its type.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
        tags: further ones, as their type and values.
        rows: of a strip. With `tile`, the sides of a tile, there are none.
        planes: the channels lie one behind the other.
        predictor: 2 differences, 3 differences of the bytes of floats.
        children: pictures in directories of their own.
    """

    values: Values
    photometric: int = 1
    bits: int | None = None
    tags: dict[int, tuple[str, Any]] = field(default_factory=dict)
    compression: int = RAW
    rows: int = 3
    tile: tuple[int, int] | None = None
    planes: bool = False
    predictor: int = 1
    children: tuple["Page", ...] = ()

    def parts(self, order: Order) -> list[bytes]:
        """The strips or tiles."""
        values = self.values if self.values.ndim == 3 else self.values[..., np.newaxis]
        height, width = values.shape[:2]
        across, down = self.tile or (width, self.rows)
        layers = [values[..., [layer]] for layer in range(values.shape[2])] if self.planes else [values]
        parts = []
        for layer in layers:
            padded = np.pad(layer, ((0, -height % down), (0, -width % across), (0, 0))) if self.tile else layer
            for top in range(0, padded.shape[0], down):
                columns = range(0, padded.shape[1], across)
                parts += [self._packed(padded[top : top + down, left : left + across], order) for left in columns]
        return parts

    def _packed(self, part: Values, order: Order) -> bytes:
        size = part.dtype.itemsize
        if self.bits is not None:
            data = packed_bits(part.reshape(len(part), -1), self.bits).tobytes()
        elif self.predictor == 2:
            whole = part.view(f"u{size}")
            data = np.diff(whole, axis=1, prepend=whole[:, :1] * 0).astype(f"{order}u{size}").tobytes()
        elif self.predictor == 3:
            split: Values = part.astype(part.dtype.newbyteorder(">")).reshape(len(part), -1).view(np.uint8)
            split = split.reshape(len(part), -1, size).swapaxes(1, 2).reshape(len(part), -1, part.shape[2])
            data = np.diff(split, axis=1, prepend=split[:, :1] * 0).tobytes()
        else:
            data = part.astype(part.dtype.newbyteorder(order)).tobytes()
        return zlib.compress(data) if self.compression == DEFLATE else data

    def entries(self) -> dict[int, tuple[str, Any]]:
        """The tags but for those that say where things are."""
        values = self.values
        channels = 1 if values.ndim == 2 else values.shape[2]
        bits = self.bits or 8 * values.dtype.itemsize
        entries: dict[int, tuple[str, Any]] = {256: (LONG, values.shape[1]), 257: (LONG, values.shape[0])}
        entries |= {258: (SHORT, [bits] * channels), 259: (SHORT, self.compression), 262: (SHORT, self.photometric)}
        entries |= {277: (SHORT, channels), 284: (SHORT, 1 + self.planes), PREDICTOR: (SHORT, self.predictor)}
        entries |= {339: (SHORT, [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * channels)}
        sides = (
            {278: (LONG, self.rows)} if self.tile is None else {322: (LONG, self.tile[0]), 323: (LONG, self.tile[1])}
        )
        return entries | sides | self.tags


def tiff(*pages: Page, order: Order = "<", big: bool = False) -> bytes:
    """A TIFF, or BigTIFF, of some pictures."""
    place = "Q" if big else "I"
    head = struct.pack(order + "H", 43) + struct.pack(order + "HH", 8, 0) if big else struct.pack(order + "H", 42)
    start = 2 + len(head) + struct.calcsize(order + place)
    body, places = b"", []
    for page in pages:
        children = []
        for child in page.children:
            body, where = _written(body, child, order, place, start, [])
            children.append(where)
        body, where = _written(body, page, order, place, start, children)
        places.append(where)
    data = bytearray((b"MM" if order == ">" else b"II") + head + struct.pack(order + place, places[0]) + body)
    for where, following in pairwise(places):
        [count] = struct.unpack_from(order + ("Q" if big else "H"), data, where)
        struct.pack_into(order + place, data, where + (8 + 20 * count if big else 2 + 12 * count), following)
    return bytes(data)


def _written(
    body: bytes, page: Page, order: Order, place: str, start: int, children: Sequence[int]
) -> tuple[bytes, int]:
    """The body with one more picture, and where its directory stands in the file."""
    parts, entries = page.parts(order), page.entries()
    offsets = []
    for part in parts:
        offsets.append(start + len(body))
        body += part + bytes(len(part) % 2)
    offsets_tag, counts_tag = (273, 279) if page.tile is None else (324, 325)
    entries |= {offsets_tag: (LONG, offsets), counts_tag: (LONG, [len(part) for part in parts])}
    if children:
        entries[CHILDREN] = (LONG, list(children))
    directory = struct.pack(order + ("Q" if place == "Q" else "H"), len(entries))
    room = struct.calcsize(order + place)
    for tag, (kind, given) in sorted(entries.items()):
        values: Sequence[Any] = [given] if isinstance(given, int | float | bytes) else given
        form = f"{len(values[0])}s" if kind == ASCII else f"{len(values)}{kind}"
        packed = struct.pack(order + form, *values)
        count = len(packed) if kind == ASCII else len(values)
        if len(packed) > room:
            where, body = start + len(body), body + packed + bytes(len(packed) % 2)
            packed = struct.pack(order + place, where)
        directory += struct.pack(order + "HH" + place, tag, TYPES[kind], count) + packed.ljust(room, b"\0")
    return body + directory + bytes(room), start + len(body)


def bmp(bgra: NDArray[np.uint8], *, header: int = 108, profile: bytes = b"") -> bytes:
    """A BMP of (h, w, 4) blue, green, red and alpha, with masks in a header of 56, 108 or 124 bytes.

    An ICC profile can be embedded where the header has 124.
    """
    height, width = bgra.shape[:2]
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, 3, bgra.nbytes, 2835, 2835, 0, 0) + masks
    info = info.ljust(header, b"\0")
    if profile:
        info = info[:56] + b"DEBM" + info[60:112] + struct.pack("<II", header + bgra.nbytes, len(profile)) + info[120:]
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + bgra.nbytes, 0, 0, start) + info + bgra[::-1].tobytes() + profile
