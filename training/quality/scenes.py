"""The scenes of the bundled quality measures, for training and evaluation: drawn sharp and clean, then spoilt.

`pristine` draws a scene of training/scenes.py without its camera, on a larger canvas; `degraded` spoils one.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from training.drawing.chance import Rng, between, canvas, pick
from training.drawing.distortions import KINDS as DISTORTIONS
from training.drawing.distortions import distorted
from training.drawing.effects import fractal
from training.scenes import KINDS, LIKE_AERIAL_VIEWS

# Shorter side in pixels: near enough to the 224 that NIMA looks at for a grade to look alike in all of them
SMALLEST, LARGEST = 240, 320
# These are hazy, blurred or coarse as they are drawn: nobody could say what spoilt them
SPOILT = ("photo/bokeh", "photo/vagueness")
LIKE_PHOTOS = tuple(name for name in KINDS if name.startswith("photo/") and name not in SPOILT)
TEXTURED = tuple(f"photo/{name}" for name in LIKE_AERIAL_VIEWS)
DRAWINGS = tuple(name for name in KINDS if name.startswith(("drawing/", "map/", "page", "sign")))


class DegradedScene(NamedTuple):
    """An RGB picture, what spoilt it (one of distortions.KINDS) and how much (0–1)."""

    image: Image.Image
    kind: str
    severity: float


def pristine(rng: Rng) -> Image.Image:
    """A scene as no camera has spoilt it: half of them like photographs, a quarter full of texture, a quarter drawings.

    Its tones are spread from black to white, and a fine texture lies all over it, as on the surfaces of a photograph:
    in a pale or a flat scene nobody could say what blur or a loss of contrast took away.

    Returns:
        RGB, the shorter side 240–319 pixels, up to a third more for street maps and pages.
    """
    kinds = pick(rng, (LIKE_PHOTOS, LIKE_PHOTOS, TEXTURED, DRAWINGS))
    with canvas(SMALLEST, LARGEST):
        image = KINDS[pick(rng, kinds)].draw(rng).image.convert("RGB")
    return _textured(rng, ImageOps.autocontrast(image, cutoff=0.5, preserve_tone=True))


def _textured(rng: Rng, image: Image.Image) -> Image.Image:
    """Grains of 6, 3 and 1.5 pixels, of 7 to 9 levels' deviation together."""
    grain = sum((fractal(rng, image.size, image.width / pixels, 1) for pixels in (6, 3, 1.5)), np.float32(0))
    grain = (grain - grain.mean()) / grain.std() * between(rng, 7, 9)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + grain[..., None], 0, 255).astype(np.uint8))


def degraded(rng: Rng, kind: str | None = None, scene: Image.Image | None = None) -> DegradedScene:
    """Spoil a scene to any severity, evenly.

    Args:
        kind: one of distortions.KINDS; any when None.
        scene: what to spoil; a new pristine one when None.
    """
    scene = scene or pristine(rng)
    kind, severity = kind or pick(rng, DISTORTIONS), between(rng, 0, 1)
    return DegradedScene(distorted(rng, scene, kind, severity), kind, severity)
