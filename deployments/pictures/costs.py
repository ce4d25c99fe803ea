"""What a file claims of its decoder, read from its headers before anything is decoded.

libjpeg goes through all blocks again for each scan, however few bytes the scan has; libtiff decodes every strip and
tile that the header lists, and libwebp the whole canvas. None of them can be stopped on the way.
"""

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from deployments.pictures.mending.jpeg import DECODES_OF_UNENDED
from deployments.pictures.mending.mended import Mended

# Seconds of a core of 2020, as measured of the dearest files.
A_SCAN, A_SCANNED_SAMPLE, A_WEBP_PIXEL = 5e-6, 1.4e-9, 3.5e-8
A_TIFF_BYTE, A_TIFF_STORED_BYTE, AN_LZMA_STORED_BYTE = 2.5e-9, 2e-9, 3e-8

SCAN = b"\xff\xda"

TIFF_WIDTH, TIFF_LENGTH, TIFF_BITS, TIFF_COMPRESSION, TIFF_SAMPLES, TIFF_ROWS = 256, 257, 258, 259, 277, 278
TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 322, 323
TIFF_PLACES = ((273, 279), (324, 325))  # offsets and byte counts, of strips and of tiles
TIFF_RAW, TIFF_JPEGS, TIFF_LZMA = 1, (6, 7), 34925
MOST_STORED = 2_000_000_000  # bytes in which scans are counted; more are refused anyway

EXTENSION, FRAME, SCREEN_BYTES = 0x21, 0x2C, 13

Cost = tuple[float, str]


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a GIF or WebP, which Pillow allocates when it opens the file; None for other files."""
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _gif_size(data)
    if data.startswith(b"RIFF") and data[8:16] == b"WEBPVP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    return None


def _gif_size(data: bytes) -> tuple[int, int] | None:
    """The screen, extended to hold the first frame."""
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        position = SCREEN_BYTES + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        while data[position] != FRAME:
            if data[position] == EXTENSION:
                position += 2
                while data[position]:
                    position += 1 + data[position]
            position += 1
        left, top, across, down = struct.unpack_from("<4H", data, position + 1)
    except (IndexError, struct.error):
        return None  # it has no frame; Pillow says so
    return max(width, left + across), max(height, top + down)


def largest_part(image: Image.Image) -> int:
    """The pixels of a TIFF tile, which the decoder allocates whole however small the picture is; 0 for other files."""
    if not isinstance(image, TiffImageFile):
        return 0
    tags: Any = image.tag_v2
    return int(tags.get(TIFF_TILE_WIDTH, 0)) * int(tags.get(TIFF_TILE_LENGTH, 0))


def cost(image: Image.Image, file: Mended) -> Cost:
    """What decoding an opened file may take: seconds of a core, and why it takes them and what to do about it.

    No seconds for formats whose decoders read piece by piece, and are stopped by their budget.
    """
    find: Callable[[Any, Mended], Cost] | None = COSTS.get(image.format or "")
    return (0, "") if find is None else find(image, file)


def _jpeg(image: Any, file: Mended) -> Cost:
    layers: list[tuple[int, int, int, int]] = image.layer
    widest, highest = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    pixels = image.width * image.height
    samples = Counter[int]()
    for component, across, down, _ in layers:  # of components with the same id, the largest counts
        samples[component] = max(samples[component], pixels * across * down // (widest * highest))
    scans = file.scans.total()
    scanned = sum(count * sum(samples[component] for component in ids) for ids, count in file.scans.items())
    decodes = 1 if file.ended else DECODES_OF_UNENDED
    told = f"This JPEG has {scans} scans of {pixels / 1e6:.1f} megapixels: save it again as a baseline JPEG."
    return decodes * (scanned * A_SCANNED_SAMPLE + scans * A_SCAN), told


def _tiff(image: TiffImageFile, file: Mended) -> Cost:
    tags: Any = image.tag_v2
    compression = tags.get(TIFF_COMPRESSION, TIFF_RAW)
    if compression == TIFF_RAW:
        return 0, ""  # Pillow reads it piece by piece
    width, length = int(tags[TIFF_WIDTH]), int(tags[TIFF_LENGTH])
    across = int(tags.get(TIFF_TILE_WIDTH, width))
    down = int(tags.get(TIFF_TILE_LENGTH, min(length, int(tags.get(TIFF_ROWS, length)))))
    parts = -(-width // across) * -(-length // down)
    bits, samples = tags.get(TIFF_BITS, (1,)), int(tags.get(TIFF_SAMPLES, 1))
    decoded = parts * across * down * max(sum(bits), bits[0] * samples) / 8
    places = [
        place
        for offsets, counts in TIFF_PLACES
        for place in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=True)
    ]
    stored = sum(count for _, count in places)
    seconds = decoded * A_TIFF_BYTE + stored * (AN_LZMA_STORED_BYTE if compression == TIFF_LZMA else A_TIFF_STORED_BYTE)
    told = f"This TIFF has {parts} parts that decode to {decoded / 1e6:.0f} MB: save it again as a PNG."
    if compression in TIFF_JPEGS and stored < MOST_STORED:
        scans = sum(file.data.count(SCAN, offset, offset + count) for offset, count in places)
        seconds += scans * across * down * samples * A_SCANNED_SAMPLE
    return seconds, told


def _webp(image: Image.Image, _file: Mended) -> Cost:
    pixels = image.width * image.height
    told = f"This WebP has {pixels / 1e6:.1f} megapixels in few bytes: save it again as a PNG, or scale it down."
    return pixels * A_WEBP_PIXEL, told


COSTS: dict[str, Callable[[Any, Mended], Cost]] = {"JPEG": _jpeg, "TIFF": _tiff, "WEBP": _webp}
