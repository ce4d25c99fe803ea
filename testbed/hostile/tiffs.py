"""Hostile TIFFs, written tag by tag."""

import lzma
import random
import struct
from collections.abc import Mapping, Sequence

SHORT, LONG = 3, 4
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES = 256, 257, 258, 259, 262, 273, 277
ROWS, STRIP_BYTES, PREDICTOR = 278, 279, 317
TILE_WIDTH, TILE_LENGTH, TILES, TILE_BYTES, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
RAW, JPEG, DEFLATE, LZMA = 1, 7, 8, 34925


def tiff(tags: Mapping[int, int | Sequence[int]], data: bytes, kinds: Mapping[int, int] | None = None) -> bytes:
    """A little-endian TIFF with `data` at offset 8; `kinds` are the types of tags, LONG where none is given."""
    entries, rest, start = b"", b"", 8 + len(data)
    after = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        given = tags[tag]
        values = [given] if isinstance(given, int) else list(given)
        kind = (kinds or {}).get(tag, LONG)
        packed = struct.pack(f"<{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(packed) > 4:
            place, rest = struct.pack("<I", after + len(rest)), rest + packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + rest


def dear_lzma(size: int) -> bytes:
    """So many bytes in LZMA, at which its decoder is slowest: noise of six bits."""
    return lzma.compress(bytes(byte & 63 for byte in random.Random(1).randbytes(size)), preset=0)


def stripped(size: tuple[int, int], rows: int, compression: int, data: bytes, **more: int | Sequence[int]) -> bytes:
    """A TIFF all of whose strips are the same `data`; `more` are tags by their names here, BITS=(8, 8, 8) for one."""
    count = -(-size[1] // rows)
    return _same(size, compression, data, {ROWS: rows, STRIPS: [8] * count, STRIP_BYTES: [len(data)] * count}, more)


def tiled(size: tuple[int, int], tile: tuple[int, int], compression: int, data: bytes, **more: int | Sequence[int]) -> bytes:  # fmt: skip
    """A TIFF all of whose tiles are the same `data`."""
    count = -(-size[0] // tile[0]) * -(-size[1] // tile[1])
    where: dict[int, int | Sequence[int]] = {TILE_WIDTH: tile[0], TILE_LENGTH: tile[1]}
    where |= {TILES: [8] * count, TILE_BYTES: [len(data)] * count}
    return _same(size, compression, data, where, more)


def _same(
    size: tuple[int, int], compression: int, data: bytes, where: Mapping[int, int | Sequence[int]],
    more: Mapping[str, int | Sequence[int]],
) -> bytes:  # fmt: skip
    small = len(data) < 1 << 16
    tags = {WIDTH: size[0], LENGTH: size[1], BITS: 8, COMPRESSION: compression, PHOTOMETRIC: 1, SAMPLES: 1, **where}
    tags |= {globals()[name]: value for name, value in more.items()}
    places = dict.fromkeys((STRIPS, TILES, *((STRIP_BYTES, TILE_BYTES) if small else ())), SHORT)
    return tiff(tags, data, {BITS: SHORT, EXTRA: SHORT, FORMAT: SHORT, **places})
