"""How a picture is to be turned: as its EXIF says, unless its decoder has turned it by what the format itself says."""

from PIL import ExifTags, Image

from deployments.pictures.coded import boxes

JXL_CODES = b"\xff\x0a"
JXL_PARTS = {b"jxlc": 0, b"jxlp": 4}  # bytes before the codes
JXL_HEADER_BYTES = 16
SIDE_BITS = (9, 13, 18, 30)


def orientation(image: Image.Image, exif: Image.Exif, data: bytes) -> int:
    """1–8 as in EXIF, or another number that means nothing.

    The readers of HEIC and AVIF have brought EXIF into line with what the file itself says. That of JPEG XL has not,
    but turns the picture, unless it gives the JPEG of which the file was made.
    """
    if image.format == "JXL" and not getattr(image, "jpeg", False) and jxl_orientation(data) != 1:
        return 1
    try:
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # a valid picture may have broken EXIF
        return 1


def jxl_orientation(data: bytes) -> int:
    """1–8: what the codes of a JPEG XL say of their orientation."""
    if not data.startswith(JXL_CODES):
        parts = (start + JXL_PARTS[name] for name, start, _ in boxes(data, 0, len(data)) if name in JXL_PARTS)
        data = data[next(parts, len(data)) :]
    codes = int.from_bytes(data[:JXL_HEADER_BYTES].ljust(JXL_HEADER_BYTES, b"\0"), "little") >> 8 * len(JXL_CODES)
    bits = _Bits(codes)
    small = bits.take(1)
    _skip_side(bits, small=bool(small))
    if not bits.take(3):  # the ratio of width to height, if it is one of seven
        _skip_side(bits, small=bool(small))
    if bits.take(1) or not bits.take(1):  # all as usual, or nothing unusual of this kind
        return 1
    return 1 + bits.take(3)


class _Bits:
    """Reads bits, the lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken


def _skip_side(bits: _Bits, *, small: bool) -> None:
    bits.take(5 if small else SIDE_BITS[bits.take(2)])
