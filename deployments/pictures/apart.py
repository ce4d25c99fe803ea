"""Decodes pictures in processes of their own: those whose decoders are native code that cannot be stopped.

A file that makes its decoder crash, hang or take too much memory ends only that process, which the kernel restricts
(`deployments.sandbox`). It costs about 0.07 s for each picture.
"""

import math
from contextlib import suppress
from itertools import accumulate
from typing import Any

from PIL import Image

from deployments.pictures.budget import Budget, OverBudget
from deployments.pictures.formats import NAMES
from deployments.pictures.refusals import PictureBroken, PictureRefused, PictureTooCostly, too_large
from deployments.pictures.refused.refusal import refusal
from deployments.sandbox import parent
from deployments.sandbox.budget import OUT_OF_TIME
from deployments.sandbox.parent import INVALID, Crashed

DECODER = "deployments.pictures.decoder"
# What a decoder may use: that of JPEG 2000 keeps each sample in 4 bytes, beside the picture and what is sent of it.
MEMORY_BYTES, BYTES_A_PIXEL = 1 << 30, 32
SENT_BYTES, SENT_BYTES_A_PIXEL = 32 << 20, 4
# Of a picture that is upright already, EXIF may say how it was turned before.
ORIENTATION = 0x0112
PARTS = ("icc_profile", "exif", "pixels")
SAVE_AGAIN = "save it again as a JPEG or PNG"


def decode_apart(data: bytes, kind: str, max_pixels: int, budget: Budget) -> Image.Image:
    """The picture in a file of this format, decoded, with its profile and EXIF in `info` as Pillow keeps them.

    Raises:
        PictureBroken, PictureTooLarge, PictureTooCostly: for these reasons it cannot be read.
        Abandoned: as `Budget.check`.
        Crashed: no decoder could be started, or it failed for its own fault.
    """
    job = {
        "format": kind,
        "max_pixels": max_pixels,
        "memory_bytes": MEMORY_BYTES + BYTES_A_PIXEL * max_pixels,
        "cpu_s": math.ceil(budget.seconds) + 1,
        "seconds": budget.seconds,
    }
    try:
        largest = SENT_BYTES + SENT_BYTES_A_PIXEL * max_pixels
        message, payload = parent.ask(DECODER, job, data, largest, budget.check)
        if "error" in message:
            raise _refusal(message, data, NAMES[kind], max_pixels)
        return _image(message, payload, kind, max_pixels)
    except Crashed as crash:
        if str(crash) == OUT_OF_TIME:
            raise OverBudget from None
        if crash.exited:  # by an error of its own code, whatever the picture is
            raise
        raise PictureBroken(f"This {NAMES[kind]} cannot be read, its decoder {crash}: {SAVE_AGAIN}.") from None


def _image(message: dict[str, Any], payload: memoryview, kind: str, max_pixels: int) -> Image.Image:
    """The picture of a message, none of which is to be trusted: the file may have taken control of the process."""
    try:
        lengths = {name: int(message["parts"][name]) for name in PARTS}
        width, height = message["size"]
        if not 0 < width * height <= max_pixels:
            raise ValueError(width * height)
        ends = list(accumulate(lengths.values()))
        icc, exif, pixels = (payload[end - length : end] for end, length in zip(ends, lengths.values(), strict=True))
        image: Image.Image = Image.frombytes(message["mode"], (width, height), bytes(pixels))
        upright = bool(message["upright"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Crashed(INVALID) from None
    image.format = kind
    image.info = {"icc_profile": bytes(icc), "exif": bytes(exif)}
    image.info = {name: value for name, value in image.info.items() if value}
    if upright:
        with suppress(Exception):  # a valid picture may have broken EXIF
            image.getexif().pop(ORIENTATION, None)
    return image


def _refusal(message: dict[str, Any], data: bytes, name: str, max_pixels: int) -> PictureRefused:
    if message["error"] == "large":
        width, height = message["size"]
        return too_large(width, height, max_pixels)
    if message["error"] == "memory":
        return PictureTooCostly(f"Decoding this {name} needs more memory than it may use: {SAVE_AGAIN}.")
    return refusal(data)
