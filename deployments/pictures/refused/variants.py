"""Variants of the formats that are read which their readers do not take: what each is, and how to save it instead."""

import re
import struct
from collections.abc import Callable
from itertools import islice

from PIL.TiffImagePlugin import COMPRESSION_INFO

from deployments.pictures.formats import STILL_BRANDS, UNREAD_BRANDS, kind_apart
from deployments.pictures.mending import jpeg, png
from deployments.pictures.refused import tiff
from deployments.pictures.refused.others import DEVELOP
from deployments.pictures.tiff.directories import is_raw

# JPEG, by the marker of its frame.
BASELINE = "save it as a baseline or progressive JPEG"
LOSSLESS = f"A lossless JPEG cannot be read: {BASELINE}, or as PNG, which is lossless too."
HIERARCHICAL = f"A hierarchical JPEG cannot be read: {BASELINE}."
UNREAD_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), LOSSLESS),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xC8, 0xCD, 0xCE, 0xCF, 0xDE), HIERARCHICAL),
    jpeg.FRAME_OF_LS: f"A JPEG-LS cannot be read: {BASELINE}, or as PNG, which is lossless too.",
}
FRAME_BYTES, MOST_SEGMENTS = 6, 1 << 12  # the latter are searched for the frame

OF_APPLE, PALETTE = b"CgBI", 3
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by the type of colour
PLAIN_PNG = "save the picture again as PNG or JPEG"

BMP_COMPRESSIONS = {4: "an embedded JPEG", 5: "an embedded PNG", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
OLDEST_BMP_HEADER = 12
BMP_HEADERS, BMP_DEPTHS = (OLDEST_BMP_HEADER, 40, 52, 56, 64, 108, 124), (1, 4, 8, 16, 24, 32)
PLAIN_BMP = "save it with 24 bits and without compression, or as PNG"
BITFIELDS = 3

TIFF_COMPRESSIONS = {
    9: "JBIG", 10: "JBIG", 32766: "NeXT", 33003: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG", 34712: "JPEG 2000",
    34715: "JBIG2", 34718: "Microsoft's", 34887: "LERC", 34933: "PNG", 34934: "JPEG XR", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
TIFF_COLOURS = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab",
    32844: "LogL", 32845: "LogLuv",
}  # fmt: skip
USUAL_BITS = (1, 2, 4, 8, 16)
TIFF_NUMBERS = {1: "whole", 2: "signed", 3: "floating", 4: "undefined", 5: "complex", 6: "complex"}
RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 34892, 65000, 65535)
CANON, CANON_PLACE = b"CR\2", 8
RAW_MAKERS = {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"SAMSUNG": "SRW", b"HASSELBLAD": "3FR",
              b"KODAK": "DCR", b"EASTMAN KODAK": "DCR", b"LEICA": "DNG", b"PHASE ONE": "IIQ"}  # fmt: skip
PLAIN_TIFF = "save it with LZW or Deflate (ZIP) compression, or as PNG"
PLAIN_COLOURS = "save it as RGB or grey of 8 or 16 bits, or as PNG"

# By the brand of a file whose pictures are coded so, or by the type of its items.
HEIF_CODERS = UNREAD_BRANDS | {
    b"vvc1": "VVC (H.266)", b"evc1": "EVC", b"j2k1": "JPEG 2000", b"avc1": "H.264", b"unci": "uncompressed pixels",
    b"lhv1": "layered HEVC",
}  # fmt: skip
READ_ITEMS = {b"hvc1", b"av01"}  # beside which a thumbnail may be coded otherwise
HEIF_REMEDY = "save it as HEIC, AVIF or JPEG"
HEIF_ITEM = re.compile(rb"infe(?:\x02.{7}|\x03.{9})(.{4})", re.DOTALL)
HEIF_HEAD, MOST_BRANDS = 1 << 16, 1 << 8
SEQUENCES = {b"msf1", b"hevc", b"hevx", b"avis"}


def told(data: bytes) -> str | None:
    """Which variant a file is that its format's reader does not take, and how to save it; None if none is known."""
    look = next((of_format for magic, of_format in LOOKS.items() if data.startswith(magic)), None)
    if look is None and data[4:8] == b"ftyp":
        look = _heif
    return None if look is None else look(data)


def _jpeg(data: bytes) -> str | None:
    for marker, _, body, end in islice(jpeg.segments(data), MOST_SEGMENTS):
        if marker in UNREAD_FRAMES:
            return UNREAD_FRAMES[marker]
        if marker in jpeg.FRAMES and end - body >= FRAME_BYTES:
            return _jpeg_frame(*struct.unpack_from(">BHHB", data, body))
    return None


def _jpeg_frame(bits: int, height: int, width: int, components: int) -> str | None:
    if bits != 8:
        return f"A {bits}-bit JPEG cannot be read: save it with 8 bits."
    if components not in (1, 3, 4):
        return f"A JPEG of {components} components cannot be read: save it as RGB, grey or CMYK."
    if not height or not width:
        return "A JPEG whose header does not tell its size cannot be read: save it again."
    return None


def _png(data: bytes) -> str | None:
    kinds = {chunk.kind for chunk in islice(png.chunks(data), MOST_SEGMENTS)}
    if OF_APPLE in kinds:
        return (
            "A PNG that Xcode changed for iPhones (CgBI) cannot be read: send the PNG from which it was made, or undo "
            "it with `pngcrush -revert-iphone-optimizations`."
        )
    if not data.startswith(png.HEADER, 12) or len(data) < 29:
        return None
    width, height, depth, colour, compression, filters, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    problem = None
    if not width or not height:
        problem = f"of {width} × {height} pixels"
    elif depth not in DEPTHS.get(colour, ()):
        problem = f"of colour type {colour} with {depth} bits"
    elif compression or filters or interlaced > 1:
        problem = "whose compression, filter or interlacing is not the standard's"
    elif colour == PALETTE and png.PALETTE not in kinds:
        problem = "of palette colours without a palette"
    return None if problem is None else f"A PNG {problem} cannot be read: {PLAIN_PNG}."


def _bmp(data: bytes) -> str | None:
    if len(data) < 34:
        return None
    header, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", data, 14)
    problem = None
    if header not in BMP_HEADERS:
        problem = f"with a header of {header} bytes"
    elif header != OLDEST_BMP_HEADER:
        if compression in BMP_COMPRESSIONS:
            problem = f"with {BMP_COMPRESSIONS[compression]}"
        elif bits not in BMP_DEPTHS:
            problem = f"of {bits} bits"
        elif compression == BITFIELDS:
            problem = f"of {bits} bits with these masks of colours"
        elif width <= 0 or not height:
            problem = f"of {width} × {abs(height)} pixels"
    return None if problem is None else f"A BMP {problem} cannot be read: {PLAIN_BMP}."


def _tiff(data: bytes) -> str | None:
    tags = tiff.directory(data)
    compression, colour = tiff.number(tags, tiff.COMPRESSION), tiff.number(tags, tiff.COLOUR)
    if data.startswith(CANON, CANON_PLACE):
        return f"A camera's raw file (CR2) cannot be read: {DEVELOP}."
    if is_raw(data) or compression in RAW_COMPRESSIONS or tiff.DNG in tags:
        make = bytes(tags.get(tiff.MAKE, b"")).upper()
        name = next((raw for maker, raw in RAW_MAKERS.items() if make.startswith(maker)), "DNG")
        return f"A camera's raw file ({name}) cannot be read: {DEVELOP}."
    if compression not in COMPRESSION_INFO:
        name = TIFF_COMPRESSIONS.get(compression, f"unknown ({compression})")
        return f"A TIFF with {name} compression cannot be read: {PLAIN_TIFF}."
    if tiff.WIDTH not in tags or tiff.end(tags) > len(data):
        return None
    bits, samples, kind = (tiff.number(tags, tag) for tag in (tiff.BITS, tiff.SAMPLES, tiff.FORMAT))
    if kind == 1 and bits in USUAL_BITS and colour in TIFF_COLOURS:
        return None
    what = f"{samples} × {bits} bits of {TIFF_NUMBERS.get(kind, 'unknown')} numbers"
    colours = TIFF_COLOURS.get(colour, f"unknown ({colour})")
    return f"A TIFF of {what} in {colours} colours cannot be read: {PLAIN_COLOURS}."


def _heif(data: bytes) -> str | None:
    brands = [data[place : place + 4] for place in range(8, min(int.from_bytes(data[:4], "big"), MOST_BRANDS), 4)]
    is_heif = not (STILL_BRANDS | UNREAD_BRANDS.keys()).isdisjoint(brands)
    if not is_heif and kind_apart(data) is None:
        return None
    items = {found[1] for found in HEIF_ITEM.finditer(data, 0, HEIF_HEAD)}
    name = next((coder for kind, coder in HEIF_CODERS.items() if kind in items or brands[:1] == [kind]), None)
    if name is not None and items.isdisjoint(READ_ITEMS):
        return f"A HEIF picture coded as {name} cannot be read: {HEIF_REMEDY}."
    if not items and SEQUENCES.intersection(brands[:1]):
        return f"A HEIF file without a still picture cannot be read: {HEIF_REMEDY}."
    return None


LOOKS: dict[bytes, Callable[[bytes], str | None]] = {
    jpeg.SOI: _jpeg, png.SIGNATURE: _png, b"BM": _bmp,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
}  # fmt: skip
