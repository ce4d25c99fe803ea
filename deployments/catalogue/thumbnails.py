"""Thumbnails of a picture."""

import io
from typing import Final

from PIL import Image

from deployments.catalogue.store.base import ThumbnailSize

SIDES: Final[dict[ThumbnailSize, int]] = {"medium": 300, "small": 150}
LARGEST_SIDE: Final = max(SIDES.values())
QUALITY: Final = 85


def thumbnails(picture: Image.Image) -> dict[ThumbnailSize, bytes]:
    """JPEGs of a decoded, upright RGB picture, which stays as it is: at most 300 and 150 pixels, never enlarged.

    Their pixels are all they have: no EXIF, and with it no place, comes through.
    """
    files: dict[ThumbnailSize, bytes] = {}
    smaller = picture
    for size, side in SIDES.items():
        smaller = _within(smaller, side)
        buffer = io.BytesIO()
        smaller.save(buffer, "JPEG", quality=QUALITY, exif=b"")
        files[size] = buffer.getvalue()
    return files


def _within(picture: Image.Image, side: int) -> Image.Image:
    """The picture, or one as wide and high as fits into `side` with its proportions, at least a pixel each."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
