"""What the header of a JPEG XL says (ISO/IEC 18181-1), read before anything is decoded."""

from dataclasses import dataclass

CODESTREAM = b"\xff\x0a"
# The boxes of a container that hold the codestream: whole, or its first part behind four bytes that number it.
WHOLE, PART, PART_NUMBER_BYTES = b"jxlc", b"jxlp", 4
MOST_BOXES = 1000
SIDE_BITS = (9, 13, 18, 30)
# Width to height, by the number in the header; 0 gives the width itself.
RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass
class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    value: int

    def take(self, count: int) -> int:
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        return taken


@dataclass(frozen=True)
class JxlHeader:
    """Width and height in pixels, before the picture is turned by its `orientation`, 1–8 as in EXIF."""

    size: tuple[int, int]
    orientation: int


def jxl_header(data: bytes) -> JxlHeader | None:
    """None if it cannot be found."""
    start = 0 if data.startswith(CODESTREAM) else _codestream(data)
    if start is None or data[start : start + 2] != CODESTREAM:
        return None
    bits = _Bits(int.from_bytes(data[start + 2 : start + 18], "little"))
    small = bits.take(1)
    height = _side(bits, small)
    ratio = RATIOS[bits.take(3)]
    width = _side(bits, small) if ratio is None else height * ratio[0] // ratio[1]
    usual = bits.take(1) or not bits.take(1)
    return JxlHeader((width, height), 1 if usual else 1 + bits.take(3))


def _side(bits: _Bits, small: int) -> int:
    return 8 * (1 + bits.take(5)) if small else 1 + bits.take(SIDE_BITS[bits.take(2)])


def _codestream(data: bytes) -> int | None:
    """Where the codestream begins in a container."""
    place = 0
    for _ in range(MOST_BOXES):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        header = 16 if length == 1 else 8
        if kind in (WHOLE, PART):
            return place + header + (PART_NUMBER_BYTES if kind == PART else 0)
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16], "big")
        if length < header:
            return None
        place += length
    return None
