"""ICC profiles at places where Pillow does not look."""

import struct

from deployments.pictures.colours.coded import boxes

JP2_ANY_PROFILE, JP2_COLOUR_BYTES = (2, 3), 3  # restricted or not; and what stands before the profile
BMP_HEADER, BMP_V5_BYTES, BMP_KIND, BMP_PROFILE = 14, 124, 56, 112
BMP_EMBEDDED = b"DEBM"  # MBED, as a little-endian number


def jp2_profile(data: bytes) -> bytes | None:
    """That of a JPEG 2000 in a file of boxes."""
    for name, start, stop in boxes(data, 0, len(data)):
        if name == b"jp2h":
            for inner, first, last in boxes(data, start, stop):
                if inner == b"colr" and last > first and data[first] in JP2_ANY_PROFILE:
                    return data[first + JP2_COLOUR_BYTES : last]
    return None


def bmp_profile(data: bytes) -> bytes | None:
    """That of a BMP of version 5."""
    if len(data) < BMP_HEADER + BMP_V5_BYTES or data[BMP_HEADER] != BMP_V5_BYTES:
        return None
    if data[BMP_HEADER + BMP_KIND :][: len(BMP_EMBEDDED)] != BMP_EMBEDDED:
        return None
    offset, size = struct.unpack_from("<II", data, BMP_HEADER + BMP_PROFILE)
    return data[BMP_HEADER + offset :][:size]
