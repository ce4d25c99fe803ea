"""The scenes of the bundled quality measures, for training and evaluation: drawn sharp and clean, then spoilt.

`pristine` draws a scene of training/scenes.py on a larger canvas and without a camera's effects; `degraded` spoils one.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from training.drawing.chance import Rng, between, canvas, pick
from training.drawing.distortions import KINDS as DISTORTIONS
from training.drawing.distortions import distorted
from training.drawing.effects import fractal
from training.scenes import KINDS, LIKE_AERIAL_VIEWS

# Shorter side in pixels: close to NIMA's 224, so that one severity looks alike in all of them
SMALLEST, LARGEST = 240, 320
# These are drawn hazy, blurred or coarse, so that a distortion could not be told from the drawing
SPOILT = ("photo/bokeh", "photo/vagueness")
LIKE_PHOTOS = tuple(name for name in KINDS if name.startswith("photo/") and name not in SPOILT)
TEXTURED = tuple(f"photo/{name}" for name in LIKE_AERIAL_VIEWS)
DRAWINGS = tuple(name for name in KINDS if name.startswith(("drawing/", "map/", "page", "sign")))


class DegradedScene(NamedTuple):
    """An RGB picture, the kind of its distortion (one of distortions.KINDS) and its severity (0–1)."""

    image: Image.Image
    kind: str
    severity: float


def pristine(rng: Rng) -> Image.Image:
    """A scene without distortions: half are like photographs, a quarter full of texture, a quarter drawings.

    Its tones are spread from black to white, and a fine texture covers it, as surfaces in a photograph have. In a pale
    or a flat scene nobody could see what blur or a loss of contrast took away.

    Returns:
        An RGB image, its shorter side 240–319 pixels, up to a third more for street maps and pages.
    """
    kinds = pick(rng, (LIKE_PHOTOS, LIKE_PHOTOS, TEXTURED, DRAWINGS))
    with canvas(SMALLEST, LARGEST):
        image = KINDS[pick(rng, kinds)].draw(rng).image.convert("RGB")
    return _textured(rng, ImageOps.autocontrast(image, cutoff=0.5, preserve_tone=True))


def _textured(rng: Rng, image: Image.Image) -> Image.Image:
    """Add grain of 6, 3 and 1.5 pixels, together with a standard deviation of 7 to 9 levels."""
    grain = sum((fractal(rng, image.size, image.width / pixels, 1) for pixels in (6, 3, 1.5)), np.float32(0))
    grain = (grain - grain.mean()) / grain.std() * between(rng, 7, 9)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + grain[..., None], 0, 255).astype(np.uint8))


def degraded(rng: Rng, kind: str | None = None, scene: Image.Image | None = None) -> DegradedScene:
    """Spoil a scene with a severity drawn evenly from 0–1.

    Args:
        kind: one of distortions.KINDS; None: any.
        scene: what to spoil; None: a new pristine one.
    """
    scene = scene or pristine(rng)
    kind, severity = kind or pick(rng, DISTORTIONS), between(rng, 0, 1)
    return DegradedScene(distorted(rng, scene, kind, severity), kind, severity)
