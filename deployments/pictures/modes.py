"""From the mode in which a file keeps its pixels to RGB of 8 bits."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures.budget import Budget

STRETCHED_PIXELS = 1 << 20  # at a time


def to_rgb(image: Image.Image, budget: Budget) -> Image.Image:
    """The pixels of a loaded picture as RGB; transparency becomes white.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    if image.mode in {"RGB", "L", "CMYK", "YCbCr", "LAB", "1"} and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        return _stretch(image, budget)
    rgba = image.convert("RGBA")
    budget.check()
    background = Image.new("RGB", rgba.size, "white")
    background.paste(rgba, mask=rgba.getchannel("A"))
    return background


def _stretch(image: Image.Image, budget: Budget) -> Image.Image:
    """Scale the range of the values to 0–255, because 32-bit integer and float images have no fixed range."""
    whole = np.asarray(image)
    step = max(1, STRETCHED_PIXELS // image.width)
    blocks = [slice(row, row + step) for row in range(0, image.height, step)]

    def finite(block: slice) -> NDArray[np.float32]:
        budget.check()
        return np.nan_to_num(whole[block].astype(np.float32), copy=False, posinf=0, neginf=0)

    ends = [(values.min(), values.max()) for values in map(finite, blocks)]
    low, high = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    grey = np.empty(whole.shape, np.uint8)
    for block in blocks:
        grey[block] = (finite(block) - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(grey).convert("RGB")
