"""Small picture files that cost a decoder without bounds seconds or gigabytes, by what they do."""

import struct
from collections.abc import Callable

from testbed.hostile import jpegs, pngs, tiffs

LARGE = (12_240, 12_240)  # just under 150 megapixels
MOST_BYTES = 1_200_000

RUN_LENGTH_8, RUN_LENGTH_4 = 1, 2


def bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    """A BMP with a black palette."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    start = 14 + len(header) + (4 << bits)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + bytes(4 << bits) + data


def webp_canvas(side: int) -> bytes:
    """A WebP that announces a square canvas of this side, without a frame."""
    size = (side - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + size + size


def _repeated(unit: bytes) -> bytes:
    return unit * (900_000 // len(unit))


HOSTILE: dict[str, Callable[[], bytes]] = {
    "jpeg of 100 refining scans": lambda: jpegs.many_scans(*LARGE, 100, approximation=0x10),
    "jpeg of 99 arithmetic scans": lambda: jpegs.many_scans(*LARGE, 99, jpegs.ARITHMETIC_PROGRESSIVE),
    "jpeg of 99 scans of three colours": lambda: jpegs.empty_scans(*LARGE, 99),
    "jpeg of 99 scans of one id for three colours": lambda: jpegs.many_scans_of_one_id(*LARGE, 99),
    "jpeg without data": lambda: jpegs.one_scan(jpegs.BASELINE, *LARGE, 4),
    "jpeg of one incomplete scan": lambda: jpegs.one_scan(jpegs.PROGRESSIVE, *LARGE, 4, bytes(10_000)),
    "jpeg of 10 scans without an end": lambda: jpegs.many_scans(*LARGE, 10).removesuffix(jpegs.EOI),
    "jpeg of one incomplete scan without an end": lambda: jpegs.one_scan(
        jpegs.BASELINE, *LARGE, 4, bytes(10_000)
    ).removesuffix(jpegs.EOI),
    "jpeg of zeros without an end": lambda: jpegs.one_scan(jpegs.BASELINE, 9000, 900, 1, bytes(900_000))[:-2],
    "jpeg of scans behind its end": lambda: jpegs.one_scan(0xC0, 9, 9, 1) + _repeated(jpegs.scan((1,), 0, 63, 0, b"")),
    "jpeg of empty segments": lambda: jpegs.SOI + _repeated(jpegs.segment(0xE5, b"")) + jpegs.one_scan(0xC0, 9, 9, 1),
    "jpeg of fill bytes": lambda: jpegs.SOI + _repeated(b"\xff") + jpegs.one_scan(0xC0, 9, 9, 1)[2:],
    "png of 16 bits and four channels": lambda: pngs.png(*LARGE, pngs.RGBA, 16),
    "png of 16 bits, interlaced": lambda: pngs.png(*LARGE, pngs.GREY, 16, interlaced=True),
    "png a pixel wide": lambda: pngs.png(1, 99_000_000, pngs.GREY, 8),
    "png a pixel high": lambda: pngs.png(99_000_000, 1, pngs.GREY, 8),
    "png of tiny chunks": lambda: pngs.png(*LARGE, pngs.GREY, 1, pieces=1),
    "png of empty chunks": lambda: pngs.png(9, 9, before=_repeated(pngs.chunk(b"IDAT", b""))),
    "png of texts that inflate": lambda: pngs.png(9, 9, before=_repeated(pngs.inflating(b"zTXt"))),
    "png of profiles that inflate": lambda: pngs.png(9, 9, before=_repeated(pngs.inflating(b"iCCP"))),
    "png of tiny texts": lambda: pngs.png(9, 9, before=_repeated(pngs.chunk(b"tEXt", b""))),
    "png of pixels without an end": lambda: pngs.png(*LARGE, pngs.GREY)[:-20],
    "png of pixels with a wrong checksum": lambda: pngs.png(*LARGE, pngs.RGB)[:-16] + bytes(4) + pngs.chunk(b"IEND", b""),
    "gif of a large frame": lambda: pngs.gif(LARGE, LARGE),
    "gif whose frame exceeds its screen": lambda: pngs.gif((9, 9), (65535, 65535), before=b"!\xf9\4\x09\0\0\0\0"),
    "gif of comments": lambda: pngs.gif((9, 9), (9, 9), before=_repeated(b"!\xfe\1a\0")),
    "bmp of ended lines": lambda: bmp(*LARGE, 8, RUN_LENGTH_8, _repeated(b"\1\0\0\0")),
    "bmp of long ended lines": lambda: bmp(1_000_000, 99, 4, RUN_LENGTH_4, _repeated(b"\1\0\0\0")),
    "bmp of one line": lambda: bmp(99_000_000, 1, 4, RUN_LENGTH_4, b"\1\0\0\0"),
    "bmp of single pixels": lambda: bmp(*LARGE, 8, RUN_LENGTH_8, _repeated(b"\1\0")),
    "tiff of huge tiles": lambda: tiffs.tiled((1_000_000, 16), (16, 6_000_000), tiffs.DEFLATE, pngs.zeros(96_000_000)),
    "tiff of shared LZMA strips": lambda: tiffs.stripped((3000, 30_000), 300, tiffs.LZMA, tiffs.dear_lzma(900_000)),
    "tiff of a tile that is not a number": lambda: tiffs.tiled((16, 16), (16, 16), 1, bytes(256), TILE_WIDTH=(1, 2)),
    "tiff of shared raw strips": lambda: tiffs.stripped((1600, 60_000), 1, tiffs.RAW, bytes(1600)),
    "tiff of 16 bits and four channels": lambda: tiffs.stripped(
        LARGE, LARGE[1], tiffs.DEFLATE, pngs.zeros(8 * LARGE[0] * LARGE[1]),
        BITS=(16,) * 4, SAMPLES=4, PHOTOMETRIC=2, EXTRA=2,
    ),
    "tiff of floats": lambda: tiffs.stripped(
        LARGE, LARGE[1], tiffs.DEFLATE, pngs.zeros(4 * LARGE[0] * LARGE[1]), BITS=32, FORMAT=3, PREDICTOR=3
    ),
    "tiff of JPEGs of many scans": lambda: tiffs.stripped(
        (9984, 9984), 624, tiffs.JPEG, jpegs.many_scans(9984, 624, 99, approximation=0x10)
    ),
    "webp of a huge canvas": lambda: webp_canvas(60_000),
    "webp of tiny chunks": lambda: b"RIFF" + struct.pack("<I", 900_004) + b"WEBP" + _repeated(b"what\0\0\0\0"),
    "webp of one colour": lambda: pngs.encoded_webp(*LARGE),
}  # fmt: skip
