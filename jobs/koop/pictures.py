"""What there is to look at in a file: the image itself, or each page of a PDF; ready for the model."""

import asyncio
import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.decoding import FORMATS, PictureRefused, decode_with_size
from deployments.preprocessing import fit
from jobs.koop.documents import Found
from jobs.koop.options import Options
from jobs.koop.pages import PageSpec, Unread, pages

SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}  # others are called as their format
SEEN_QUALITY = 75


@dataclass(frozen=True)
class Picture:
    """One picture: of `page` of a PDF (from 1), or an image (None).

    Args:
        page: as above.
        pixels: what the model sees, (size, size, 3).
        data: the file to keep: the image as it was published, or the drawn page as a PNG.
        suffix: its usual ending.
        width, height: of the upright picture.
    """

    page: int | None
    pixels: NDArray[np.uint8]
    data: bytes
    suffix: str
    width: int
    height: int

    def seen(self) -> bytes:
        """`pixels` as a JPEG."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "JPEG", quality=SEEN_QUALITY)
        return file.getvalue()


async def pictures(found: Found, size: int, options: Options) -> AsyncGenerator[Picture | Unread]:
    """Every picture of a file, one at a time; `size` is the side of the model's input."""
    if found.kind == "image":
        yield await asyncio.to_thread(_image, found.data, size, options.max_pixels)
        return
    spec = PageSpec(size, max(size, options.page_side), options.max_pages)
    async for page in pages(found.data, spec):
        if isinstance(page, Unread):
            yield page
        else:
            yield Picture(page.number, page.pixels, page.png, "png", page.width, page.height)


def _image(data: bytes, size: int, max_pixels: int) -> Picture | Unread:
    try:
        image, (width, height) = decode_with_size(data, max_pixels, size)
    except PictureRefused as error:
        return Unread(None, str(error))
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        name = str(opened.format)
    return Picture(None, fit(image, size), data, SUFFIXES.get(name, name.lower()), width, height)
