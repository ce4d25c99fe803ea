"""Decodes files to upright RGB pictures of limited size, for the ingress and the catalogue's worker.

A file is judged by its bytes alone, never by its name or content type. Errors:

PictureRefused
├── PictureEmpty       the file is empty
├── PictureBroken      the file cannot be decoded
└── PictureTooLarge    the picture has more pixels than are accepted
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import without_ends

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
SUPPORTED = "JPEG, PNG, GIF, BMP, TIFF and WebP"

# A progressive JPEG is decoded once per scan; a megabyte of empty scans would take an hour.
MOST_SCANS = 100
TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 322, 323

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

# Pillow's limit is off, because it only warns at first; our own limit is checked before pixels are allocated.
Image.MAX_IMAGE_PIXELS = None


class PictureRefused(Exception):
    """Base of the errors; the message says what to send instead."""


class PictureEmpty(PictureRefused):
    """The file is empty."""


class PictureBroken(PictureRefused):
    """The file is not a picture, or is broken."""


class PictureTooLarge(PictureRefused):
    """The picture has more pixels than are accepted; none were allocated."""


@dataclass(frozen=True)
class DecodedPicture:
    """The contents of a file that was opened once.

    Attributes:
        image: upright RGB without metadata; that of a JPEG may be smaller than the original.
        size: width and height of the upright original, in pixels.
        format: Pillow's name of the format, such as `PNG`; `MPO` is a JPEG followed by more pictures.
        exif: empty if the file has none or it cannot be read.
    """

    image: Image.Image
    size: tuple[int, int]
    format: str
    exif: Image.Exif


def decode(data: bytes, max_pixels: int, *, shortest_side: int | None = None) -> Image.Image:
    """Decode as `decode_picture` does, and return only the picture."""
    return decode_picture(data, max_pixels, shortest_side).image


def decode_picture(data: bytes, max_pixels: int, shortest_side: int | None = None) -> DecodedPicture:
    """Decode an image to upright RGB. Of an animation it takes the first frame; transparency becomes white.

    Args:
        data: the bytes of the file.
        max_pixels: larger images are refused before their pixels are allocated.
        shortest_side: pixels to which the caller will scale the shorter side. A JPEG may then be decoded at a half, a
            quarter or an eighth of its size, but never below twice this.

    Raises:
        PictureEmpty, PictureBroken, PictureTooLarge.
    """
    image = _open(data, max_pixels)
    width, height = image.size
    with _refusing_broken_pixels():
        if shortest_side is not None:
            image.draft("RGB", (2 * shortest_side, 2 * shortest_side))
        image.load()
        exif = _exif(image)
        turn = UPRIGHT.get(_orientation(exif))
        rgb = _to_rgb(image)
        upright = rgb if turn is None else rgb.transpose(turn)
        upright.info = {}  # otherwise a comment would be copied into every JPEG made of the picture
    size = (height, width) if turn in SIDEWAYS else (width, height)
    return DecodedPicture(upright, size, str(image.format), exif)


def check(data: bytes, max_pixels: int, kind: str) -> tuple[int, int]:
    """Decode a file of this format to its end, and return its width and height in pixels; raises as `decode`."""
    image = _open(data, max_pixels, (kind,))
    size = image.size
    with _refusing_broken_pixels():
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


def _open(data: bytes, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    if not data:
        raise PictureEmpty("The file is empty: send an image.")
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise PictureBroken(f"The JPEG has more than {MOST_SCANS} scans: save it again.")
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        raise PictureBroken(f"This is not an image that can be read: send {SUPPORTED}.") from None
    except Exception as error:  # Pillow's parsers raise whatever a malformed header makes them raise
        raise PictureBroken(f"The image's header is broken ({type(error).__name__}): send it again.") from error
    if max(image.width * image.height, _largest_part(image)) > max_pixels:
        raise PictureTooLarge(
            f"The image has {image.width} × {image.height} pixels; at most {max_pixels / 1e6:g} megapixels are "
            "accepted: scale it down."
        )
    return image


def _largest_part(image: Image.Image) -> int:
    """The pixels of a TIFF tile, which the decoder allocates whole however small the picture is; 0 for other files."""
    if not isinstance(image, TiffImageFile):
        return 0
    tags = image.tag_v2
    return int(tags.get(TIFF_TILE_WIDTH, 0)) * int(tags.get(TIFF_TILE_LENGTH, 0))


@contextmanager
def _refusing_broken_pixels() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow's decoders raise whatever broken pixel data makes them raise
        raise PictureBroken(f"The image is broken or cut off ({type(error).__name__}): send the whole file.") from error


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # a valid picture may have broken EXIF
        return Image.Exif()


def _orientation(exif: Image.Exif) -> int:
    try:
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # as above
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"RGB", "L", "CMYK", "YCbCr", "LAB", "1"} and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        return _stretch(image)
    rgba = image.convert("RGBA")
    background = Image.new("RGB", rgba.size, "white")
    background.paste(rgba, mask=rgba.getchannel("A"))
    return background


def _stretch(image: Image.Image) -> Image.Image:
    """Scale the range of the values to 0–255, because 32-bit integer and float images have no fixed range."""
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    values -= low
    values *= 255 / (high - low) if high > low else 0
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")
