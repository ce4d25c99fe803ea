"""Hostile PNGs, GIFs and WebPs."""

import struct
import zlib

from PIL import Image

from testbed.pictures.images import encoded

GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, RGBA: 4}
CODES = 3800  # until the table is cleared
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros(count: int) -> bytes:
    """So many zero bytes, compressed by zlib to a thousandth."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block[: min(len(block), count - start)]) for start in range(0, count, len(block))]
    return b"".join([*parts, packer.flush()])


def png(
    width: int, height: int, colour: int = RGB, depth: int = 8, *, interlaced: bool = False, before: bytes = b"",
    pieces: int = 0,
) -> bytes:  # fmt: skip
    """A black PNG; `before` are chunks before its pixels, and `pieces` the bytes of each chunk of pixels (0: one)."""
    rows = height * (1 + -(-width * depth * CHANNELS[colour] // 8))
    data = zeros(rows * (2 if interlaced else 1))  # the passes of a narrow picture have more rows
    step = pieces or len(data)
    packed = b"".join(chunk(b"IDAT", data[start : start + step]) for start in range(0, len(data), step))
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256)) if colour == PALETTE else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return SIGNATURE + header + palette + before + packed + chunk(b"IEND", b"")


def inflating(kind: bytes) -> bytes:
    """A chunk of a text or profile that inflates to a megabyte."""
    return chunk(kind, b"a\0\0" + zeros(1_000_000))


def encoded_webp(width: int, height: int) -> bytes:
    """A lossless WebP of one transparent colour, in a few dozen bytes."""
    return encoded(Image.new("RGBA", (width, height), (1, 2, 3, 4)), "WEBP", lossless=True, method=0)


def gif(screen: tuple[int, int], frame: tuple[int, int], *, before: bytes = b"") -> bytes:
    """A black GIF of one frame; `before` are blocks before the frame. Its data end after about a megabyte."""
    codes = _codes(frame[0] * frame[1])
    blocks = b"".join(bytes([len(codes[i : i + 255])]) + codes[i : i + 255] for i in range(0, len(codes), 255))
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF7, 0, 0) + bytes(768)
    return head + before + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x08" + blocks + b"\0;"


def _codes(pixels: int) -> bytes:
    """LZW codes of zeros, each of which stands for one pixel more than the one before."""
    text, left = list[str](), min(pixels, 1 << 29)
    while left > 0:
        text.append(f"{256:09b}")
        for number in range(CODES):
            code = 0 if number == 0 else 257 + number
            text.append(f"{code:0{max(9, (256 + number).bit_length())}b}")
            left -= number + 1
    text.append(f"{257:012b}")
    bits = "".join(code[::-1] for code in text)  # the lowest bit comes first
    return int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
