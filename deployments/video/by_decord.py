"""Decoding by decord, which VIDEO_READER=decord asks for: H.264 in MP4, MOV and MKV whose key frames are all IDR.

decord gives other frames than their times say for open GOPs and intra refresh, and for MPEG-4, MPEG-2 and some HEVC;
it knows no transparency, no HDR, no shape of pixels and no rotations but those of MP4, and takes a flip for a rotation.
It was not faster than PyAV for any file that was measured (docs/decisions/pyav-and-decord.md).
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.video.colour import is_plain
from deployments.video.shape import turn
from deployments.video.sizes import units

FORMATS = ("mov", "matroska")
ACCURACY_S = 0.002  # decord keeps times in single precision
IDR = 5


def begins_anew(header: bytes, packet: bytes) -> bool:
    """Whether no frame after this key frame, of H.264 with this header of MP4 or MKV, refers to one before it."""
    return len(header) > 4 and any(unit[0] & 31 == IDR for unit in units(packet, 1 + (header[4] & 3)))


def shows(frame: Any) -> bool:
    """Whether decord shows a frame, here of PyAV, in its colours and upright."""
    return is_plain(frame) and turn(frame) is None


def frames(
    path: str, threads: int, times: NDArray[np.float64], wanted: deque[int]
) -> Iterator[tuple[int, Image.Image]]:
    """Yield the frames with these numbers, which it removes from the left, as far as decord can decode them.

    Nothing is yielded if decord does not find frames at the same times, in seconds from the first.
    """
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        video = decord.VideoReader(path, num_threads=threads)
        theirs = video.get_frame_timestamp(range(len(video)))[:, 0].astype(np.float64)
        if len(theirs) != len(times) or np.abs(theirs - theirs[0] - times).max() > ACCURACY_S:
            return
        while wanted:
            pixels = video[wanted[0]].asnumpy()
            yield wanted.popleft(), Image.fromarray(pixels)
    except (decord.DECORDError, RuntimeError, AssertionError, StopIteration):
        return  # PyAV continues from here, and notices whether something is missing
