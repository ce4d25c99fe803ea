"""Hostile JPEGs, written marker by marker."""

import struct

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
BASELINE, PROGRESSIVE, ARITHMETIC_PROGRESSIVE = 0xC0, 0xC2, 0xCA
LONGEST_RUN = 32767  # blocks that one code of a progressive scan ends


def segment(marker: int, body: bytes) -> bytes:
    """A marker with its body."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def bits(ones_and_zeros: str) -> bytes:
    """Entropy-coded data, filled up with ones and with a zero after each 0xFF."""
    filled = ones_and_zeros + "1" * (-len(ones_and_zeros) % 8)
    return int(filled, 2).to_bytes(len(filled) // 8, "big").replace(b"\xff", b"\xff\0")


def huffman(kind: int, number: int, symbols: bytes) -> bytes:
    """A table whose codes have one bit for the first symbol, two for the second, and so on."""
    counts = bytes(1 if length < len(symbols) else 0 for length in range(16))
    return segment(0xC4, bytes([kind << 4 | number]) + counts + symbols)


def frame(marker: int, width: int, height: int, components: int = 1, sampling: int = 0x11) -> bytes:
    """A frame header; `sampling` is that of the first component."""
    parts = b"".join(bytes([1 + i, sampling if i == 0 else 0x11, 0]) for i in range(components))
    return segment(marker, struct.pack(">BHHB", 8, height, width, components) + parts)


def scan(components: tuple[int, ...], start: int, end: int, approximation: int, data: bytes) -> bytes:
    """A scan of these components (from 1), of the coefficients `start` to `end`."""
    parts = b"".join(bytes([component, 0]) for component in components)
    return segment(0xDA, bytes([len(components)]) + parts + bytes([start, end, approximation])) + data


def head(marker: int, width: int, height: int, components: int = 1, sampling: int = 0x11) -> bytes:
    """Everything before the first scan: quantisation, frame and two Huffman tables."""
    return SOI + tables() + frame(marker, width, height, components, sampling)


def tables() -> bytes:
    """A quantisation table, and a Huffman table of each kind."""
    return segment(0xDB, b"\0" + b"\1" * 64) + huffman(0, 0, b"\0") + huffman(1, 0, b"\xe0\x00")


def many_scans(width: int, height: int, scans: int, marker: int = PROGRESSIVE, approximation: int = 0) -> bytes:
    """A JPEG that goes `scans` times through all blocks, at 140 bytes for each 100 megapixels.

    `approximation` is 0x10 for scans that refine what is there.
    """
    return head(marker, width, height) + _passes(width, height, scans, approximation) + EOI


def many_scans_of_one_id(width: int, height: int, scans: int) -> bytes:
    """The same of three components that share an id; the first one is sixteen times as large as the others."""
    parts = b"\1\x44\0" + b"\1\x11\0" * 2
    shared = segment(PROGRESSIVE, struct.pack(">BHHB", 8, height, width, 3) + parts)
    return SOI + tables() + shared + _passes(width, height, scans, 0x10) + EOI


def _passes(width: int, height: int, scans: int, approximation: int) -> bytes:
    blocks = -(-width // 8) * -(-height // 8)
    runs = bits(("0" + "1" * 14) * -(-blocks // LONGEST_RUN))
    return scan((1,), 1, 63, approximation, runs) * scans


def empty_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of three colours whose scans have no data."""
    return head(PROGRESSIVE, width, height, 3) + scan((1, 2, 3), 0, 0, 0, b"") * scans + EOI


def one_scan(marker: int, width: int, height: int, components: int, data: bytes = b"", sampling: int = 0x11) -> bytes:
    """A JPEG with a single scan of this data."""
    end, numbers = (0 if marker in (PROGRESSIVE, ARITHMETIC_PROGRESSIVE) else 63), tuple(range(1, components + 1))
    return head(marker, width, height, components, sampling) + scan(numbers, 0, end, 0, data) + EOI
