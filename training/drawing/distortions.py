"""What spoils a picture, in grades: every distortion takes a severity from 0 (none) to 1 (hardly a picture any more).

The scales are ours. Each is chosen so that the picture gets worse from one end to the other, not only near one of them;
that 0.5 of one looks as bad as 0.5 of another is a wish, not a measurement.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from training.drawing.chance import Rng, between
from training.drawing.effects import as_jpeg

Distortion = Callable[[Rng, Image.Image, float], Image.Image]


def faded(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """Contrast lost towards the mean grey: a tenth of it is left at 1."""
    pixels = np.asarray(image, np.float32)
    grey = pixels.mean()
    return _as_image((pixels - grey) * (1 - 0.9 * severity) + grey)


def unsharp(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """A Gaussian blur of up to 4 pixels' deviation."""
    return image.filter(ImageFilter.GaussianBlur(4 * severity**1.2))


def noisy(rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """Gaussian noise in every channel, of up to 50 levels' deviation."""
    noise = rng.standard_normal((image.height, image.width, 3), dtype=np.float32)
    return _as_image(np.asarray(image, np.float32) + noise * 50 * severity**1.3)


def compressed(_rng: Rng, image: Image.Image, severity: float) -> Image.Image:
    """JPEG, its quality falling from 100 to 4 in equal ratios."""
    return as_jpeg(image, round(100 * 0.04**severity))


# In the order in which a camera does them: light, lens, sensor, file
SINGLE: dict[str, Distortion] = {"contrast": faded, "blur": unsharp, "noise": noisy, "jpeg": compressed}
MIXTURE = "mixture"
KINDS = (*SINGLE, MIXTURE)


def distorted(rng: Rng, image: Image.Image, kind: str, severity: float) -> Image.Image:
    """A spoilt copy of an RGB image.

    Args:
        kind: one of KINDS. A mixture is two of the single ones, whose severities a and b leave as much untouched as
            the whole: (1 - a)(1 - b) = 1 - severity.
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
