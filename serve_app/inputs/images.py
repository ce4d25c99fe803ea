"""The only door for pixels: bytes in, one decoded, upright, size-checked RGB image out, judged by its bytes alone."""

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from deployments.pictures import decoding
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from serve_app.http.errors import EmptyFile, ImageTooLarge, InvalidImage
from serve_app.http.metrics import decode_seconds

JPEG_QUALITY = 90

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decoded:
    """An image ready for its model. `width` and `height` are of the upright original, in pixels."""

    pixels: Pixels
    width: int
    height: int


def decode(data: bytes, max_pixels: int, *, shortest_side: int | None = None) -> Image.Image:
    """As `decoding.decode`.

    Raises:
        EmptyFile, InvalidImage, ImageTooLarge.
    """
    with _translated():
        return decoding.decode(data, max_pixels, shortest_side=shortest_side)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except decoding.PictureEmpty as error:
        raise EmptyFile(str(error)) from error
    except decoding.PictureTooLarge as error:
        raise ImageTooLarge(str(error)) from error
    except decoding.PictureRefused as error:
        raise InvalidImage(str(error)) from error


class Decoder:
    """Decodes off the event loop, on as many threads as the configuration gives."""

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._max_pixels = max_pixels

    async def fit(self, data: bytes, size: int) -> Decoded:
        """Decode an image and make it what CLIP wants to see: `pixels` is (size, size, 3) uint8."""

        def work() -> Decoded:
            picture = decoding.decode_picture(data, self._max_pixels, size)
            return Decoded(fit(picture.image, size), *picture.size)

        return await self._run(work)

    async def whole(self, data: bytes, size: int | None) -> tuple[Decoded, Pixels]:
        """Decode an image at its full size, `pixels` being (h, w, 3), and make it what CLIP wants to see.

        Without `size` that is nothing, (0, 0, 3).
        """

        def work() -> tuple[Decoded, Pixels]:
            image = decode(data, self._max_pixels)
            fitted = np.empty((0, 0, 3), np.uint8) if size is None else fit(image, size)
            return Decoded(np.asarray(image, dtype=np.uint8), image.width, image.height), fitted

        return await self._run(work)

    async def reduced(self, data: bytes, least: int, *, crop: bool = False) -> Decoded:
        """Decode an image and scale it down as `decoding.reduced` does; a JPEG while it is decoded."""

        def work() -> Decoded:
            picture = decoding.decode_picture(data, self._max_pixels, least // 2)
            return Decoded(decoding.reduced(picture.image, least, crop=crop), *picture.size)

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

    async def check(self, data: bytes, kind: str) -> tuple[int, int]:
        """The width and height of an image of this format, `JPEG` or `PNG`, which is decoded to its end."""
        return await self._run(lambda: decoding.check(data, self._max_pixels, kind))

    async def _run(self, work: Callable[[], Value]) -> Value:
        def timed() -> Value:
            started = time.perf_counter()
            try:
                with _translated():
                    return work()
            finally:
                decode_seconds().observe(time.perf_counter() - started)

        return await asyncio.get_running_loop().run_in_executor(self._threads, timed)
