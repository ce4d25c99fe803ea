"""Resizing and cropping of pictures for models, with Pillow and NumPy only.

The ingress does this next to the decoder, so that 150 kB of pixels are sent to CLIP instead of megabytes, and so that
the ingress does not need torch. `tests/models/test_clip_model.py` compares `fit` to open_clip's own transform.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from deployments.pictures.pixels import Pixels


@dataclass(frozen=True)
class ImageSpec:
    """The input of an image tower: `size` × `size` RGB, with channels of 0–1 normalised by `mean` and `std`."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# Longer pictures are cut first: 1 × 10,000 pixels would be scaled to 224 × 2,240,000 before the crop to the centre.
LONGEST_RATIO = 8


def fit(image: Image.Image, size: int) -> Pixels:
    """Scale the shorter side of an RGB image to `size` (bicubic, antialiased) and cut out the centre.

    Returns:
        uint8 array of shape (size, size, 3), RGB, 0–255.
    """
    image = without_ends(image)
    width, height = image.size
    if width <= height:
        scaled = (size, max(size, int(size * height / width)))
    else:
        scaled = (max(size, int(size * width / height)), size)
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    resized = image.resize(scaled, Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)), dtype=np.uint8)


def scale(image: Image.Image, size: int) -> Pixels:
    """Scale an RGB image down (bicubic, antialiased) to a shorter side of `size`. A smaller image is not scaled.

    Returns:
        uint8 array (h, w, 3), RGB, 0–255. A very long picture is cut to its middle first.
    """
    image = without_ends(image)
    factor = size / min(image.size)
    if factor < 1:
        width, height = (max(1, round(side * factor)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def without_ends(image: Image.Image) -> Image.Image:
    """Cut the ends off a very long picture, so that its longer side is at most eight times the shorter."""
    rows, columns = middle(image.height, image.width)
    if (rows.stop - rows.start, columns.stop - columns.start) == (image.height, image.width):
        return image
    return image.crop((columns.start, rows.start, columns.stop, rows.stop))


def middle(height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns that `without_ends` leaves."""
    longest = LONGEST_RATIO * min(width, height)
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return slice(top, height - top), slice(left, width - left)
