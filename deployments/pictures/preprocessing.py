"""What CLIP wants to see: the resize and crop of its own transform, in Pillow and NumPy alone.

The ingress runs this next to the decoder, so that 150 kB of pixels travel to the model instead of megabytes, and so
that nothing on the way needs torch. `tests/models/test_clip_model.py` holds it to open_clip's own transform.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from deployments.pictures.pixels import Pixels


@dataclass(frozen=True)
class ImageSpec:
    """The input of an image tower: `size`×`size` RGB, channels normalised by `mean` and `std` (of values in 0–1)."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# A picture of 1 × 10,000 pixels would be scaled to 224 × 2,240,000 before all but its centre is thrown away.
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
    """Scale an RGB image down (bicubic, antialiased) until its shorter side is `size`; a smaller one stays as it is.

    Returns:
        uint8 array (h, w, 3), RGB, 0–255; of a very long picture the middle.
    """
    image = without_ends(image)
    factor = size / min(image.size)
    if factor < 1:
        width, height = (max(1, round(side * factor)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def without_ends(image: Image.Image) -> Image.Image:
    """Cut a very long picture to eight times its shorter side, around its centre."""
    rows, columns = middle(image.height, image.width)
    if (rows.stop - rows.start, columns.stop - columns.start) == (image.height, image.width):
        return image
    return image.crop((columns.start, rows.start, columns.stop, rows.stop))


def middle(height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns that `without_ends` leaves."""
    longest = LONGEST_RATIO * min(width, height)
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return slice(top, height - top), slice(left, width - left)
