"""Distortions of pictures, each with a severity from 0 (none) to 1 (the picture can hardly be recognised).

The scales are this project's own. Along each the picture gets worse steadily, and not only near one end. Equal
severities of two distortions are meant to look equally bad, but nobody has measured that.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from training.drawing.chance import Rng, between
from training.drawing.effects import as_jpeg

Distortion = Callable[[Rng, Image.Image, float], Image.Image]


def faded(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """Lower contrast around the mean grey: at severity 1 a tenth of it is left."""
    pixels = np.asarray(image, np.float32)
    grey = pixels.mean()
    return _as_image((pixels - grey) * (1 - 0.9 * severity) + grey)


def unsharp(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """A Gaussian blur with a standard deviation of up to 4 pixels."""
    return image.filter(ImageFilter.GaussianBlur(4 * severity**1.2))


def noisy(rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """Gaussian noise in every channel, with a standard deviation of up to 50 levels."""
    noise = rng.standard_normal((image.height, image.width, 3), dtype=np.float32)
    return _as_image(np.asarray(image, np.float32) + noise * 50 * severity**1.3)


def compressed(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """JPEG compression, its quality falling geometrically from 100 to 4."""
    return as_jpeg(image, round(100 * 0.04**severity))


# In the order in which they arise in a camera: light, lens, sensor, file
SINGLE: dict[str, Distortion] = {"contrast": faded, "blur": unsharp, "noise": noisy, "jpeg": compressed}
MIXTURE = "mixture"
KINDS = (*SINGLE, MIXTURE)


def distorted(rng: Rng, image: Image.Image, kind: str, severity: float) -> Image.Image:
    """A spoilt copy of an RGB image.

    Args:
        kind: one of KINDS. A mixture applies two single ones, whose severities a and b together make the whole:
            (1 - a)(1 - b) = 1 - severity.
        severity: 0–1; 0 leaves every pixel as it is.
    """
    if severity == 0:
        return image.copy()
    if kind != MIXTURE:
        return SINGLE[kind](rng, image, severity)
    chosen = sorted(rng.choice(len(SINGLE), 2, replace=False))
    share = between(rng, 0.3, 0.7)
    for index, power in zip(chosen, (share, 1 - share), strict=True):
        image = list(SINGLE.values())[index](rng, image, 1 - (1 - severity) ** power)
    return image


def _as_image(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Image.Image:
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
