"""Decodes the images of requests: the only way from a file's bytes to pixels in the ingress.

A file is judged by its bytes alone, never by its name or content type. Pixels are upright RGB, and their number is
limited.
"""

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from PIL import Image

from deployments.pictures import decoding, refusals
from deployments.pictures.inputs import PictureInput, shortest_side
from deployments.pictures.pixels import Pixels
from serve_app.http.errors import EmptyFile, ImageTooLarge, InvalidImage, UnreadImage
from serve_app.http.metrics import decode_seconds

JPEG_QUALITY = 90

Value = TypeVar("Value")


@dataclass(frozen=True)
class Decoded:
    """An image ready for its model. `width` and `height` are those of the upright original, in pixels."""

    pixels: Pixels
    width: int
    height: int


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """Decode as `decoding.decode` does, but raise errors of the ingress.

    Raises:
        EmptyFile, InvalidImage, ImageTooLarge.
    """
    with _translated():
        return decoding.decode(data, max_pixels)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except refusals.PictureEmpty as error:
        raise EmptyFile(str(error)) from error
    except (refusals.PictureTooLarge, refusals.PictureTooCostly) as error:
        raise ImageTooLarge(str(error)) from error
    except refusals.PictureUnread as error:
        raise UnreadImage(str(error)) from error
    except refusals.PictureRefused as error:
        raise InvalidImage(str(error)) from error


class Decoder:
    """Decodes images in a pool of threads, off the event loop.

    A call that is cancelled frees its thread: it never starts if it is still queued, and otherwise ends when its
    decoder next reads from the file, or at the latest when its budget is used up (`deployments.pictures.budget`).
    """

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._max_pixels = max_pixels

    async def inputs(self, data: bytes, *wanted: PictureInput) -> tuple[Decoded, ...]:
        """Decode an image once, a JPEG no larger than needed, and make each of these inputs from it.

        Raises:
            EmptyFile, InvalidImage, ImageTooLarge: it cannot be decoded.
        """

        def work(abandoned: Event) -> tuple[Decoded, ...]:
            picture = decoding.decode_picture(data, self._max_pixels, shortest_side(wanted), abandoned)
            return tuple(Decoded(one.of(picture.image), *picture.size) for one in wanted)

        return await self._run(work)

    async def jpeg(self, data: bytes, longest_side: int) -> bytes:
        """Decode an image and encode it as a JPEG of at most `longest_side` pixels per side, without metadata."""

        def work(abandoned: Event) -> bytes:
            image = decoding.decode(data, self._max_pixels, shortest_side=longest_side, abandoned=abandoned)
            image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=JPEG_QUALITY)
            return buffer.getvalue()

        return await self._run(work)

    async def check(self, data: bytes, kind: str) -> tuple[int, int]:
        """Decode an image of this format, `JPEG` or `PNG`, to its end, and return its width and height in pixels."""
        return await self._run(lambda abandoned: decoding.check(data, self._max_pixels, kind, abandoned))

    async def _run(self, work: Callable[[Event], Value]) -> Value:
        abandoned = Event()

        def timed() -> Value:
            started = time.perf_counter()
            try:
                with _translated():
                    return work(abandoned)
            finally:
                decode_seconds().observe(time.perf_counter() - started)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, timed)
        except asyncio.CancelledError:
            abandoned.set()
            raise
