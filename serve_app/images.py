"""The only door for pixels: bytes in, one decoded, upright, size-checked RGB image out, judged by its bytes alone."""

import asyncio
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from deployments.preprocessing import fit, without_ends
from serve_app.errors import EmptyFile, ImageTooLarge, InvalidImage
from serve_app.metrics import decode_seconds

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
SUPPORTED = "JPEG, PNG, GIF, BMP, TIFF and WebP"

# A progressive JPEG is decoded once a scan: a megabyte of empty ones would take an hour.
MOST_SCANS = 100
TIFF_TILE_WIDTH, TIFF_TILE_LENGTH = 322, 323

# What makes a picture upright, by its EXIF orientation.
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

JPEG_QUALITY = 90

# Our own limit stands before any pixel is allocated; Pillow's only warns.
Image.MAX_IMAGE_PIXELS = None

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decoded:
    """An image ready for its model. `width` and `height` are of the upright original, in pixels."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


def decode(data: bytes, max_pixels: int, *, shortest_side: int | None = None) -> Image.Image:
    """Decode an image to upright RGB; of an animation the first frame, transparency on white.

    Args:
        data: the file's bytes.
        max_pixels: refuse larger images, before their pixels are allocated.
        shortest_side: when the caller will scale the image down to this many pixels, a JPEG may be decoded at a half,
            a quarter or an eighth of its size, never below twice this.

    Raises:
        EmptyFile, InvalidImage, ImageTooLarge.
    """
    return _upright(_open(data, max_pixels), shortest_side)[0]


def _open(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise EmptyFile("The file is empty: send an image.")
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MOST_SCANS:
        raise InvalidImage(f"The JPEG has more than {MOST_SCANS} scans: save it again.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise InvalidImage(f"This is not an image that can be read: send {SUPPORTED}.") from None
    except Exception as error:  # Pillow's parsers raise whatever a malformed header makes them raise
        raise InvalidImage(f"The image's header is broken ({type(error).__name__}): send it again.") from error
    if max(image.width * image.height, _largest_part(image)) > max_pixels:
        raise ImageTooLarge(
            f"The image has {image.width} × {image.height} pixels; at most {max_pixels / 1e6:g} megapixels are "
            "accepted: scale it down."
        )
    return image


def _largest_part(image: Image.Image) -> int:
    """The pixels of a TIFF's tile, which its decoder allocates whole however small the picture is."""
    if not isinstance(image, TiffImageFile):
        return 0
    tags = image.tag_v2
    return int(tags.get(TIFF_TILE_WIDTH, 0)) * int(tags.get(TIFF_TILE_LENGTH, 0))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the EXIF of a good picture may be nonsense
        return 1


def _upright(image: Image.Image, shortest_side: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """The decoded image, and the size of its upright original, which may be larger."""
    width, height = image.size
    try:
        if shortest_side is not None:
            image.draft("RGB", (2 * shortest_side, 2 * shortest_side))
        image.load()
        turn = UPRIGHT.get(_orientation(image))
        rgb = _to_rgb(image)
        size = (height, width) if turn in SIDEWAYS else (width, height)
        return rgb if turn is None else rgb.transpose(turn), size
    except Exception as error:  # as above, for broken pixel data
        raise InvalidImage(f"The image is broken or cut off ({type(error).__name__}): send the whole file.") from error


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
    """32-bit integer and float images have no fixed range: their own becomes 0–255."""
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    values -= low
    values *= 255 / (high - low) if high > low else 0
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


class Decoder:
    """Decodes off the event loop, on as many threads as the configuration gives."""

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._max_pixels = max_pixels

    async def fit(self, data: bytes, size: int) -> Decoded:
        """Decode an image and make it what CLIP wants to see: `pixels` is (size, size, 3) uint8."""

        def work() -> Decoded:
            image, (width, height) = _upright(_open(data, self._max_pixels), size)
            return Decoded(fit(image, size), width, height)

        return await self._run(work)

    async def whole(self, data: bytes, size: int | None) -> tuple[Decoded, NDArray[np.uint8]]:
        """Decode an image at its full size, `pixels` being (h, w, 3), and make it what CLIP wants to see.

        Without `size` that is nothing, (0, 0, 3).
        """

        def work() -> tuple[Decoded, NDArray[np.uint8]]:
            image = decode(data, self._max_pixels)
            fitted = np.empty((0, 0, 3), np.uint8) if size is None else fit(image, size)
            return Decoded(np.asarray(image, dtype=np.uint8), image.width, image.height), fitted

        return await self._run(work)

    async def reduced(self, data: bytes, least: int, *, crop: bool = False) -> Decoded:
        """Decode an image and take a half, a third, … of it where neither side gets shorter than `least`.

        `pixels` is (h, w, 3), no side of which is needlessly twice as long as that. Each side is reduced on its own,
        which is for a model that squeezes pictures into a square; with `crop`, for one that keeps their shape, both are
        reduced alike, and of a very long picture the middle is taken.
        """

        def work() -> Decoded:
            image, (width, height) = _upright(_open(data, self._max_pixels), least // 2)
            image = without_ends(image) if crop else image
            across, down = (max(1, side // least) for side in image.size)
            if crop:
                across = down = min(across, down)
            return Decoded(np.asarray(image.reduce((across, down)), dtype=np.uint8), width, height)

        return await self._run(work)

    async def jpeg(self, data: bytes, longest_side: int) -> bytes:
        """Decode an image and encode it as a JPEG of at most `longest_side` pixels, without anything but its pixels."""

        def work() -> bytes:
            image = decode(data, self._max_pixels, shortest_side=longest_side)
            image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=JPEG_QUALITY)
            return buffer.getvalue()

        return await self._run(work)

    async def _run(self, work: Callable[[], Value]) -> Value:
        def timed() -> Value:
            started = time.perf_counter()
            try:
                return work()
            finally:
                decode_seconds().observe(time.perf_counter() - started)

        return await asyncio.get_running_loop().run_in_executor(self._threads, timed)
