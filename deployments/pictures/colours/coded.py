"""The colours that a file names by numbers instead of an ICC profile: those of ITU-T H.273, and PNG's own.

Browsers follow them, and so is it done here. A transfer of BT.709 is shown as sRGB's, as all of them do.
"""

import struct
from dataclasses import dataclass
from typing import Any

from deployments.pictures.colours.profiles import SRGB, SRGB_CURVE, Primaries, matrix_profile

BT2020 = Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
ILLUMINANT_C = (0.310, 0.316)
PRIMARIES = {
    1: SRGB,
    4: Primaries((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), ILLUMINANT_C),
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: BT2020,
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: Primaries((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
PQ, HLG = 16, 18
CURVES = dict.fromkeys((1, 6, 13, 14, 15), SRGB_CURVE) | {4: (2.2,), 5: (2.8,), 8: (1.0,)}

# PNG's gAMA is that of 1 / 2.2 where the pixels are sRGB's; libpng takes no notice of less than a twentieth either.
SRGB_GAMMA, SAME_GAMMA = 1 / 2.2, 0.05
SAME_POINT = 0.002
PNG_SIGNATURE, CHUNK_BYTES = b"\x89PNG\r\n\x1a\n", 12
PALETTE_OR_PIXELS = (b"PLTE", b"IDAT")
# The boxes in which HEIC and AVIF keep the properties of their pictures, from the outside in.
PROPERTIES = (b"meta", b"iprp", b"ipco")
MOST_BOXES = 4096


@dataclass(frozen=True)
class Code:
    """Primaries and transfer by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int

    @property
    def is_hdr(self) -> bool:
        """Whether values stand for more light than that of SDR's white."""
        return self.transfer in (PQ, HLG)

    def profile(self) -> bytes | None:
        """An ICC profile of the same meaning; None where the numbers say nothing, or what is sRGB anyway."""
        primaries, curve = PRIMARIES.get(self.primaries), CURVES.get(self.transfer)
        if curve is None or primaries is None or (primaries == SRGB and curve == SRGB_CURVE):
            return None
        return matrix_profile(primaries, curve)


def png_chunk(data: bytes, name: bytes) -> bytes | None:
    """What a chunk of a PNG holds that stands before its palette and pixels; None for other files."""
    position = len(PNG_SIGNATURE) if data.startswith(PNG_SIGNATURE) else len(data)
    while position + CHUNK_BYTES <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind in PALETTE_OR_PIXELS:
            return None
        if kind == name:
            return data[position + 8 : position + 8 + length]
        position += CHUNK_BYTES + length
    return None


def png_code(data: bytes) -> Code | None:
    """What the chunk cICP of a PNG says. It goes before an ICC profile."""
    told = png_chunk(data, b"cICP")
    return None if told is None or len(told) != 4 else Code(told[0], told[1])


def png_profile(info: dict[Any, Any]) -> bytes | None:
    """An ICC profile that says the same as gAMA and cHRM of a PNG; None where they are those of sRGB, or missing.

    Raises:
        ValueError: there are no such colours.
    """
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or (gamma is None and points is None):
        return None
    primaries: Primaries = SRGB
    curve: tuple[float, ...] = SRGB_CURVE
    if points is not None:
        white, red, green, blue = zip(points[::2], points[1::2], strict=True)
        told = Primaries(red, green, blue, white)
        if max(abs(a - b) for a, b in zip(_flat(told), _flat(SRGB), strict=True)) > SAME_POINT:
            primaries = told
    if gamma is not None and abs(gamma / SRGB_GAMMA - 1) > SAME_GAMMA:
        if gamma <= 0:
            raise ValueError("the gamma is zero")
        curve = (1 / gamma,)
    return None if primaries == SRGB and curve == SRGB_CURVE else matrix_profile(primaries, curve)


def _flat(primaries: Primaries) -> tuple[float, ...]:
    return (*primaries.red, *primaries.green, *primaries.blue, *primaries.white)


def heif_code(data: bytes) -> Code | None:
    """What the first colour property of a HEIC or AVIF that is made of numbers says."""
    start, stop = 0, len(data)
    for name in PROPERTIES:
        inside = next((box[1:] for box in boxes(data, start, stop) if box[0] == name), None)
        if inside is None:
            return None
        start, stop = inside
        start += 4 if name == b"meta" else 0  # its version
    for name, first, last in boxes(data, start, stop):
        if name == b"colr" and data[first : first + 4] == b"nclx" and last - first >= 8:
            return Code(*struct.unpack_from(">HH", data, first + 4))
    return None


def boxes(data: bytes, start: int, stop: int) -> list[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box between two places of an ISO file, such as HEIC."""
    found: list[tuple[bytes, int, int]] = []
    while start + 8 <= stop and len(found) < MOST_BOXES:
        size, name = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and start + 16 <= stop:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        end = stop if size == 0 else start + size
        if 0 < size < header or end > stop:
            break
        found.append((name, start + header, end))
        start = end
    return found
