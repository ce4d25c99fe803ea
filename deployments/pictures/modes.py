"""From the mode in which a file keeps its pixels to RGB of 8 bits."""

from typing import Any

import numpy as np
from PIL import Image

from deployments.pictures.budget import Budget, MeteredFile
from deployments.pictures.colours.coded import png_chunk
from deployments.pictures.colours.convert import to_srgb
from deployments.pictures.samples import MOST_NARROW, Samples, to_8_bits
from deployments.pictures.tiff.reader import Tiff

PNG_BITS = 24  # where the header of a PNG says how many a sample has


def to_rgb(image: Image.Image, data: bytes, budget: Budget) -> tuple[Image.Image, str | None]:
    """The pixels of a loaded picture in sRGB, 8 bits a channel; transparency becomes white.

    Args:
        image: loaded from `data`.
        data: the file.
        budget: the CPU time that may be used.

    Returns:
        the picture as RGB, which may be `image` itself, and why the colour profile of the file was ignored, if it was:
        in a sentence.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    picture = _plain(image, data, budget)
    budget.check()
    picture, note = to_srgb(picture, image.format or "", image.info, data, budget)
    budget.check()
    if picture.mode == "RGB":
        return picture, note  # `convert` would copy it
    if picture.mode not in {"LA", "RGBA"}:
        return picture.convert("RGB"), note
    picture = picture.convert("RGBA")
    background = Image.new("RGB", picture.size, "white")
    background.paste(picture, mask=picture.getchannel("A"))
    return background, note


def _plain(image: Image.Image, data: bytes, budget: Budget) -> Image.Image:
    """The pixels as L, LA, RGB, RGBA, CMYK or LAB of 8 bits."""
    samples = _samples(image, data, budget)
    if samples is not None:
        return to_8_bits(samples, budget)
    if image.format == "PNG" and image.mode in {"1", "L"} and "transparency" in image.info:
        return _grey_without(image.convert("L"), image.info["transparency"], data[PNG_BITS])
    if image.has_transparency_data:
        plain = image.convert("LA" if image.mode in {"LA", "La"} else "RGBA")
        if image.format == "BMP" and plain.getchannel("A").getextrema() == (0, 0):
            plain = plain.convert("RGB")  # nobody has written an alpha
    elif image.mode in {"RGB", "L", "CMYK", "LAB"}:
        plain = image
    else:
        plain = image.convert("L" if image.mode == "1" else "RGB")
    return _framed(plain, image)


def _samples(image: Any, data: bytes, budget: Budget) -> Samples | None:
    """The samples of a picture of more than 8 bits; None for others."""
    if isinstance(image, Tiff) and image.samples is not None:
        return image.samples
    if image.mode.startswith("I;16"):
        key = image.info.get("transparency")
        grey = np.asarray(image)
        return Samples("L", (grey,), 16, highest=_significant(data), transparent=None if key is None else (key,))
    if image.mode == "F":
        return Samples("L", (np.asarray(image),), lowest=0, highest=1)  # JPEG XL keeps fractions
    if image.mode == "I":
        return Samples("L", (np.asarray(image),))
    return _png_samples(image, data, budget) if image.format == "PNG" and data[PNG_BITS] == 16 else None


def _png_samples(image: Image.Image, data: bytes, budget: Budget) -> Samples | None:
    """The samples of a PNG of 16 bits and several channels, of which Pillow gives the first bytes.

    None where those are enough: nothing depends on the second ones.
    """
    if image.mode not in {"RGB", "RGBA"}:
        return None
    key = image.info.get("transparency")
    extremes: Any = image.getextrema()
    if key is None and max(high for _, high in extremes[:3]) > MOST_NARROW >> 8:
        return None
    high, low = np.asarray(image), np.asarray(_low_bytes(image.mode, data, budget))
    channels = tuple(high[..., i].astype(np.uint16) << 8 | low[..., i] for i in range(len(image.mode)))
    return Samples(image.mode, channels, 16, highest=_significant(data), transparent=key)


def _low_bytes(mode: str, data: bytes, budget: Budget) -> Image.Image:
    """The second byte of each sample of a PNG of 16 bits."""
    image = Image.open(MeteredFile(data, budget), formats=("PNG",))
    image.tile = [tile._replace(args=f"{mode};16L") for tile in image.tile]
    image.load()
    return image


def _significant(data: bytes) -> float | None:
    """The largest value that a PNG says it uses."""
    bits = png_chunk(data, b"sBIT")
    return float((1 << max(bits)) - 1) if bits and 0 < max(bits) < 16 else None


def _grey_without(grey: Image.Image, key: int, bits: int) -> Image.Image:
    """A grey picture of 1 to 8 bits, one value of which is transparent: as LA."""
    most = (1 << bits) - 1
    value = (key & most) * 255 // most
    alpha = grey.point([0 if one == value else 255 for one in range(256)])
    return Image.merge("LA", (grey, alpha))


def _framed(picture: Image.Image, image: Any) -> Image.Image:
    """White around the first frame of a GIF that is smaller than its canvas."""
    frame = image.dispose_extent if image.format == "GIF" else None
    if frame is None or frame == (0, 0, *picture.size):
        return picture
    canvas = Image.new(picture.mode, picture.size, "white")
    canvas.paste(picture.crop(frame), frame[:2])
    return canvas
