"""What of a WebP file belongs to its picture; libwebp refuses a file whose sizes do not fit."""

import struct
from collections.abc import Iterator

from deployments.pictures.budget import Budget
from deployments.pictures.mending.mended import Mended
from deployments.pictures.refusals import PictureTooCostly

HEAD = 12  # bytes: RIFF, the size of all that follows, WEBP
PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
KEPT = (*PICTURES, b"VP8X", b"ALPH", b"ANIM", b"ICCP", b"EXIF")
MOST_CHUNKS, CHUNKS_AT_ONCE = 1 << 17, 1 << 12


def mend(data: bytes, budget: Budget) -> Mended:
    """Leave out texts, unknown chunks and what stands behind the picture, and set the sizes right.

    Raises:
        PictureTooCostly: the file has more chunks than any real one.
        OverBudget, Abandoned: as `Budget.check`.
    """
    kept, size = list[tuple[int, int]](), 0
    for number, (kind, start, end) in enumerate(_chunks(data)):
        if number % CHUNKS_AT_ONCE == 0:
            budget.check()
        if number == MOST_CHUNKS:
            raise PictureTooCostly(f"This WebP has more than {MOST_CHUNKS} chunks: save it again.")
        if end > len(data) and kind in PICTURES:
            return Mended(data)  # its decoder says that it is cut off
        if end <= len(data) and kind in KEPT:
            kept.append((start, end))
            size += end - start + (end - start) % 2
    if len(data) == HEAD + size and struct.unpack_from("<I", data, 4) == (size + 4,):
        return Mended(data)
    whole = memoryview(data)
    parts = (part for start, end in kept for part in (whole[start:end], bytes((end - start) % 2)))
    return Mended(b"".join([b"RIFF", struct.pack("<I", size + 4), b"WEBP", *parts]))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each chunk, up to the end that the file claims or, until there is a picture, its real."""
    place, claimed, pictured = HEAD, 8 + int.from_bytes(data[4:8], "little"), False
    while place + 8 <= len(data) and (place < claimed or not pictured):
        kind, size = struct.unpack_from("<4sI", data, place)
        end = place + 8 + size
        yield kind, place, end
        pictured = pictured or kind in PICTURES
        place = end + size % 2
