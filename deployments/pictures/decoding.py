"""Decodes files to upright RGB pictures of limited size, for the ingress and the catalogue's worker.

A file is judged by its bytes alone, never by its name or content type.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

import numpy as np
from PIL import ExifTags, Image

from deployments.pictures.apart import decode_apart
from deployments.pictures.budget import Abandoned, Budget, MeteredFile, OverBudget
from deployments.pictures.costs import announced_size, cost, largest_part
from deployments.pictures.formats import FORMATS, HERE, kind_apart
from deployments.pictures.mending import jpeg
from deployments.pictures.mending.mend import mend
from deployments.pictures.mending.mended import Mended
from deployments.pictures.modes import to_rgb
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import without_ends
from deployments.pictures.refusals import (
    LONGEST_SIDE,
    PictureEmpty,
    PictureRefused,
    PictureTooCostly,
    too_large,
)
from deployments.pictures.refused.refusal import refusal
from deployments.pictures.tiff.reader import NAME as TIFF_READER
from deployments.sandbox.parent import Crashed

# The most that are decoded of a JPEG; the sensors of larger pictures fill every second pixel from its neighbours.
WHOLE_PIXELS = 100_000_000

# The transposition that makes a picture upright, by its EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = {UPRIGHT[orientation] for orientation in (5, 6, 7, 8)}

XMP = ("xmp", "XML:com.adobe.xmp")
# Readers of our own, by the format.
OPENED_AS = {"JPEG": jpeg.NAME, "TIFF": TIFF_READER}

# Pillow's limit is off, because it only warns at first; our own limit is checked before pixels are allocated.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class DecodedPicture:
    """The contents of a file that was opened once.

    Attributes:
        image: upright RGB without metadata; that of a JPEG may be smaller than the original.
        size: width and height of the upright original, in pixels.
        format: Pillow's name of the format, such as `PNG`.
        exif: empty if the file has none or it cannot be read.
        notes: what bears on the colours and was not followed or left out, because it is broken, in whole sentences.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    exif: Image.Exif
    notes: tuple[str, ...] = ()


def decode(
    data: bytes, max_pixels: int, *, shortest_side: int | None = None, abandoned: Event | None = None
) -> Image.Image:
    """Decode as `decode_picture` does, and return only the picture."""
    return decode_picture(data, max_pixels, shortest_side, abandoned).image


def decode_picture(
    data: bytes, max_pixels: int, shortest_side: int | None = None, abandoned: Event | None = None
) -> DecodedPicture:
    """Decode an image to upright sRGB. Of an animation it takes the first frame; transparency becomes white.

    Args:
        data: the bytes of the file.
        max_pixels: larger images are refused before their pixels are allocated.
        shortest_side: pixels to which the caller will scale the shorter side. A JPEG may then be decoded at a half, a
            quarter or an eighth of its size, but never below twice this. Without it, every pixel is decoded, but of a
            JPEG of more than 100 megapixels every second one on each side.
        abandoned: set by another thread when nobody waits for the picture any more; decoding then ends soon.

    Raises:
        PictureEmpty, PictureBroken, PictureTooLarge, PictureTooCostly.
        Abandoned: `abandoned` is set.
        Crashed: a decoder could not be started.
    """
    budget = Budget(len(data), abandoned)
    image, file = _open(data, max_pixels, budget)
    width, height = image.size
    with _refusing(budget, file.data):
        if shortest_side is not None:
            image.draft("RGB", (2 * shortest_side, 2 * shortest_side))
        elif width * height > WHOLE_PIXELS:
            image.draft("RGB", (width // 2, height // 2))
        image.load()
        budget.check()
        exif = _exif(image)
        turn = UPRIGHT.get(_orientation(exif))
        rgb, note = to_rgb(image, file.data, budget)
        upright = rgb if turn is None else rgb.transpose(turn)
        upright.info = {}  # otherwise a comment would be copied into every JPEG made of the picture
    size = (height, width) if turn in SIDEWAYS else (width, height)
    notes = file.notes if note is None else (*file.notes, note)
    return DecodedPicture(upright, size, str(image.format), exif, notes)


def check(data: bytes, max_pixels: int, kind: str, abandoned: Event | None = None) -> tuple[int, int]:
    """Decode a file of this format to its end, and return its width and height in pixels; raises as `decode`."""
    budget = Budget(len(data), abandoned)
    image, file = _open(data, max_pixels, budget, (kind,))
    size = image.size
    with _refusing(budget, file.data):
        image.draft(None, (1, 1))  # decode a JPEG at an eighth of its size: the whole file is read, less is allocated
        image.load()
    return size


def reduced(image: Image.Image, least: int, *, crop: bool = False) -> Pixels:
    """Reduce the sides of an RGB picture by the largest whole factors that leave at least `least` pixels: (h, w, 3).

    Each side has its own factor, for models that squeeze pictures into a square. With `crop`, for models that keep the
    aspect ratio, both sides have the same factor, and a very long picture is cut to its middle first.
    """
    image = without_ends(image) if crop else image
    across, down = (max(1, side // least) for side in image.size)
    if crop:
        across = down = min(across, down)
    return np.asarray(image.reduce((across, down)), dtype=np.uint8)


def _open(
    data: bytes, max_pixels: int, budget: Budget, formats: tuple[str, ...] = FORMATS
) -> tuple[Image.Image, Mended]:
    """Open what a decoder needs of a file, and read what its headers claim.

    Nothing is decoded yet, unless in a process of its own.
    """
    if not data:
        raise PictureEmpty("The file is empty: send an image.")
    with _refusing(budget, data):
        file = mend(data, budget)
        if (kind := kind_apart(file.data)) in formats:
            return decode_apart(file.data, kind, max_pixels, budget), file
        if (announced := announced_size(file.data)) is not None:
            _refuse_larger(*announced, max_pixels)
        here = [OPENED_AS.get(name, name) for name in formats if name in HERE]
        image = Image.open(MeteredFile(file.data, budget), formats=here)
        _refuse_larger(*image.size, max_pixels, largest_part(image))
        seconds, reason = cost(image, file)
        if seconds > budget.seconds:
            raise PictureTooCostly(reason)
        if not file.ended:
            jpeg.require_all_pixels(file, budget)
    return image, file


def _refuse_larger(width: int, height: int, max_pixels: int, largest_part: int = 0) -> None:
    if max(width * height, largest_part) > max_pixels or max(width, height) > LONGEST_SIDE:
        raise too_large(width, height, max_pixels)


@contextmanager
def _refusing(budget: Budget, data: bytes) -> Iterator[None]:
    """Turn whatever Pillow raises of broken headers and pixels into a refusal that says what the file is."""
    try:
        yield
    except (PictureRefused, Abandoned, Crashed):  # a decoder of our own that fails is not the file's fault
        raise
    except OverBudget:
        raise PictureTooCostly(
            f"Decoding the image takes more than {budget.seconds:.1f} s of a processor, too much for a file of its "
            "size: save it again as a plain JPEG or PNG, or scale it down."
        ) from None
    except Exception as error:
        raise refusal(data) from error


def _exif(image: Image.Image) -> Image.Exif:
    for name in XMP:  # Pillow would take the orientation from it
        image.info.pop(name, None)
    try:
        return image.getexif()
    except Exception:  # a valid picture may have broken EXIF
        return Image.Exif()


def _orientation(exif: Image.Exif) -> int:
    try:
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # as above
        return 1
