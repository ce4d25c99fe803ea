"""What of a JPEG file belongs to its picture: the markers up to the first end of image, as libjpeg reads them.

Behind it may lie the film of a Motion Photo, the gain map of an Ultra HDR picture, the further pictures of an MPO, or
anything. The decoder gets only what is counted here.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from deployments.pictures.budget import Budget, MeteredFile
from deployments.pictures.mending.mended import Mended, Spans
from deployments.pictures.refusals import PictureBroken, PictureTooCostly

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
END, SCAN, FRAME_OF_LS, FIRST_KNOWN = 0xD9, 0xDA, 0xF7, 0xC0
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE, ARITHMETIC = {0xC2, 0xC6, 0xCA, 0xCE}, {*range(0xC9, 0xD0)} - {0xCC}
WITHOUT_LENGTH = {*range(0xD0, 0xD9)}  # restarts and starts of images
PIXELS = {*range(0xC0, 0xD0), *range(0xDA, 0xE0), FRAME_OF_LS, 0xF8}
TEXTS = {*range(0xE0, 0xF0), 0xFE}
# Segments over which Pillow stumbles where they are shorter: how each begins, and its least bytes. No segment has
# ALWAYS bytes: the tables of Photoshop, in which one can be broken, are not needed.
ALWAYS = 1 << 16
LEAST_BYTES = {
    0xE0: (b"JFIF", 14), 0xE2: (b"ICC_PROFILE\0", 14), 0xED: (b"Photoshop 3.0\0", ALWAYS), 0xEE: (b"Adobe", 12)
}  # fmt: skip
# Of what Pillow opens, by a name of its own: the first picture, and nothing of what an index says of further ones.
NAME = "FIRST_JPEG"
MOST_SEGMENTS, SEGMENTS_AT_ONCE = 1 << 17, 1 << 10  # a real file has hundreds
LEAST_FILLING, MOST_UNUSED = 32, 2  # bytes that are zero
LEAST_BLOCK, LARGEST_BLOCK = 1 << 12, 1 << 20  # bytes of entropy-coded data that are searched at a time

MARKER = re.compile(rb"\xff[^\x00\xff]")

# What is appended instead of missing bits. Of any two codes with which the data could go on, these give different ones.
FILLS = (b"", b"\x5a\x1c\x63", b"\x9c\x36\xd1", b"\xd9\x45\x2e")
FILL_TIMES, ROWS_AT_ONCE = 64, 256
DECODES_OF_UNENDED = 1 + 3 * len(FILLS)

CUT_OFF = "This JPEG is cut off: part of its pixels is missing. Send the whole file."


def mend(data: bytes, budget: Budget) -> Mended:
    """Leave out what stands behind the picture, what stands between its segments, and segments that are broken.

    Raises:
        PictureTooCostly: the file has more segments than any real one.
        OverBudget, Abandoned: as `Budget.check`.
    """
    kept, scans, ended = Spans(data), Counter[bytes](), False
    kept.keep(0, len(SOI))
    for number, (marker, start, body, end) in enumerate(segments(data)):
        if number % SEGMENTS_AT_ONCE == 0:
            budget.check()
        if number == MOST_SEGMENTS:
            raise PictureTooCostly(f"This JPEG has more than {MOST_SEGMENTS} segments: save it again as a plain JPEG.")
        if marker == SCAN:
            scans[_components(data, body)] += 1
        if marker in PIXELS or (marker in TEXTS and not _is_too_short(data, marker, body, end)):
            kept.keep(start, end)
        ended = marker == END
        if ended:
            kept.keep(start, end)
    if not scans:
        return Mended(data)  # its decoder says what is wrong
    if ended:
        return Mended(kept.joined(), scans=scans)
    return Mended(kept.joined().rstrip(b"\xff") + EOI, scans=scans, ended=False)  # half an end marker is none


def require_all_pixels(file: Mended, budget: Budget) -> None:
    """Find out whether all pixels of a JPEG without an end marker are there: no appended bits may change any.

    It is decoded once for each of `FILLS`; and again where it ends with many zeros, as files do that were reserved at
    their full size and filled in part. Zeros are also codes: those of a picture of one colour are as many as it needs.

    Raises:
        PictureBroken: some are missing, or it cannot be known.
        OverBudget, Abandoned: as `Budget.check`.
    """
    data = file.data.removesuffix(EOI)
    filled = data.rstrip(b"\0")
    if not _all_scans_are_there(data):
        raise PictureBroken(CUT_OFF)
    if len(data) - len(filled) < LEAST_FILLING:
        whole = _is_whole(data, budget)
    else:
        whole = _is_whole(filled + b"\0" * filled.endswith(b"\xff"), budget) or (
            _is_whole(data, budget) and not _is_whole(data[:-MOST_UNUSED], budget)
        )
    if not whole:
        raise PictureBroken(CUT_OFF)


def _is_whole(data: bytes, budget: Budget) -> bool:
    digests = (_digest(data + fill * FILL_TIMES + EOI, budget) for fill in FILLS)
    first = next(digests)
    return all(digest == first for digest in digests)


def segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The segments of a picture up to its end: marker, start, start of the body, and end.

    The entropy-coded data of a scan belong to its segment. What stands between segments is skipped, as are markers
    without a meaning. A segment that is cut off is none.
    """
    codes, place = np.frombuffer(data, np.uint8), len(SOI)
    while (found := MARKER.search(data, place)) is not None:
        (start, body), marker = found.span(), data[found.end() - 1]
        if marker == END:
            yield marker, start, body, body
            return
        place = body
        if marker < FIRST_KNOWN or marker in WITHOUT_LENGTH:
            continue
        place = body + max(2, int.from_bytes(data[body : body + 2], "big"))
        if place > len(data):
            return
        if marker == SCAN:
            place = _end_of_scan(codes, place)
        yield marker, start, body + 2, place


def _end_of_scan(codes: NDArray[np.uint8], start: int) -> int:
    """Where entropy-coded data end: at a marker that is neither a restart nor a stuffed or meaningless one."""
    size = LEAST_BLOCK
    while start < len(codes) - 1:
        block = codes[start : start + size + 1]
        places = np.flatnonzero(block[:-1] == 0xFF)
        after = block[places + 1]
        ends = places[(after >= FIRST_KNOWN) & (after & 0xF8 != 0xD0) & (after != 0xFF)]
        if len(ends):
            return start + int(ends[0])
        start, size = start + size, min(2 * size, LARGEST_BLOCK)
    return len(codes)


def _components(data: bytes, body: int) -> bytes:
    """The ids of the components that a scan goes through."""
    return data[body + 1 : body + 1 + 2 * data[body] : 2] if body < len(data) else b""


def _is_too_short(data: bytes, marker: int, body: int, end: int) -> bool:
    beginning, least = LEAST_BYTES.get(marker, (b"", 0))
    return end - body < least and data.startswith(beginning, body)


def _all_scans_are_there(data: bytes) -> bool:
    """Whether each coefficient of each component was sent to its last bit.

    It is False for arithmetic codes, whose end cannot be told from what follows.
    """
    left, ids, progressive = np.full((256, 64), 0xFF, np.uint8), b"", False  # bits that are missing yet
    for marker, _, body, end in segments(data):
        if marker in FRAMES:
            ids, progressive = data[body + 6 : end : 3], marker in PROGRESSIVE
            if marker in ARITHMETIC:
                return False
        elif marker == SCAN:
            some = _components(data, body)
            spectrum = body + 1 + 2 * len(some)
            first, last, approximation = data[spectrum : spectrum + 3].ljust(3, b"\xff")
            span = slice(first, last + 1) if progressive else slice(None)
            left[list(some), span] = approximation & 0xF if progressive else 0
    return not left[list(ids)].any()


def _digest(data: bytes, budget: Budget) -> int:
    """A checksum of all pixels."""
    image, value = Image.open(MeteredFile(data, budget), formats=(NAME,)), 0
    image.load()
    budget.check()
    for row in range(0, image.height, ROWS_AT_ONCE):
        value = zlib.crc32(image.crop((0, row, image.width, min(row + ROWS_AT_ONCE, image.height))).tobytes(), value)
    return value


Image.register_open(NAME, JpegImageFile, lambda prefix: prefix.startswith(SOI))
