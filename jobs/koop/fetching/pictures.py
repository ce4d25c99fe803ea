"""The pictures in a file, ready for the model: the image itself, or each page of a PDF."""

import asyncio
import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from PIL import Image

from deployments.pictures.decoding import decode_picture
from deployments.pictures.formats import BY_PILLOW
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from deployments.pictures.refusals import PictureRefused
from jobs.koop.fetching.documents import FetchedFile
from jobs.koop.fetching.pages import PageSpec, Unread, pages
from jobs.koop.options import Options

SEEN_QUALITY = 75


@dataclass(frozen=True)
class PublishedPicture:
    """One picture.

    Args:
        page: its page in a PDF, from 1; None for an image.
        pixels: the model's input, (size, size, 3).
        data: the file to keep: the image as it was published, or the rendered page as a PNG.
        suffix: the file's usual suffix.
        width, height: of the upright picture, in pixels.
    """

    page: int | None
    pixels: Pixels
    data: bytes
    suffix: str
    width: int
    height: int

    def seen(self) -> bytes:
        """`pixels` as a JPEG."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "JPEG", quality=SEEN_QUALITY)
        return file.getvalue()


async def pictures(found: FetchedFile, size: int, options: Options) -> AsyncGenerator[PublishedPicture | Unread]:
    """Yield the pictures of a file, one at a time; `size` is the side of the model's input."""
    if found.kind == "image":
        yield await asyncio.to_thread(_image, found.data, size, options.max_pixels)
        return
    spec = PageSpec(size, max(size, options.page_side), options.max_pages)
    async for page in pages(found.data, spec):
        if isinstance(page, Unread):
            yield page
        else:
            yield PublishedPicture(page.number, page.pixels, page.png, "png", page.width, page.height)


def _image(data: bytes, size: int, max_pixels: int) -> PublishedPicture | Unread:
    try:
        decoded = decode_picture(data, max_pixels, size)
    except PictureRefused as error:
        return Unread(None, str(error))
    suffix = BY_PILLOW[decoded.format].suffixes[0].removeprefix(".")
    return PublishedPicture(None, fit(decoded.image, size), data, suffix, *decoded.size)
