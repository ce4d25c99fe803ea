"""ICC profiles of a monitor's kind: three primaries, a white and one curve."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

D65 = (0.3127, 0.3290)
# The white of ICC's connection space, as its numbers are written; and the cone responses in which whites are adapted.
D50 = np.array([0.96420, 1.0, 0.82491])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
HEADER_BYTES, TAG_BYTES = 128, 12


@dataclass(frozen=True)
class Primaries:
    """The chromaticities (x, y) of red, green, blue and white."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float] = D65

    def to_xyz(self) -> Matrix:
        """(3, 3): from linear RGB to XYZ, in which white has Y = 1. LinAlgError where the primaries lie on a line."""
        corners = np.stack([_xyz(point) for point in (self.red, self.green, self.blue)], axis=1)
        return corners * np.linalg.solve(corners, _xyz(self.white))


SRGB = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))


def _xyz(point: tuple[float, float]) -> Matrix:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def matrix_profile(primaries: Primaries, curve: tuple[float, ...]) -> bytes:
    """An ICC profile of version 4 for RGB.

    Args:
        primaries: those of the pictures; their white becomes the white of sRGB.
        curve: from the stored value to light, both 0–1: a power (g,), or (g, a, b, c, d) for (a x + b)^g from d up and
            c x below.

    Raises:
        ValueError: such primaries have no colours between them.
    """
    try:
        matrix = primaries.to_xyz()
        cones = BRADFORD @ _xyz(primaries.white)
        adapted = np.linalg.solve(BRADFORD, np.diag((BRADFORD @ D50) / cones) @ BRADFORD) @ matrix
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise ValueError("the primaries lie on a line") from error
    if not (np.isfinite(adapted).all() and np.abs(adapted).max() < 1000):
        raise ValueError("the primaries lie on a line")
    tags = {b"wtpt": _xyz_tag(D50)}
    for name, column in zip("rgb", adapted.T, strict=True):
        tags |= {f"{name}XYZ".encode(): _xyz_tag(column), f"{name}TRC".encode(): _curve_tag(curve)}
    return profile(b"mntr", b"RGB ", tags)


def profile(device: bytes, space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 4 with these tags, by its class, its colour space and that which it leads to."""
    entries, body, start = b"", b"", HEADER_BYTES + 4 + TAG_BYTES * len(tags)
    for name, value in tags.items():
        entries += struct.pack(">4sII", name, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = start + len(body)
    header = struct.pack(">I4xI4s4s4s12x4s28x3I", size, 0x04200000, device, space, connection, b"acsp", *_fixed(D50))
    return header.ljust(HEADER_BYTES, b"\0") + struct.pack(">I", len(tags)) + entries + body


def _fixed(values: Matrix) -> list[int]:
    return [round(value * 65536) & 0xFFFFFFFF for value in values]


def _xyz_tag(values: Matrix) -> bytes:
    return struct.pack(">4s4x3I", b"XYZ ", *_fixed(values))


def _curve_tag(curve: tuple[float, ...]) -> bytes:
    kind = {1: 0, 5: 3}[len(curve)]
    return struct.pack(f">4s4xH2x{len(curve)}I", b"para", kind, *_fixed(np.array(curve)))
