"""Noise, light, and the effects of a camera and of a codec on a picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.drawing.chance import Rng, between, maybe, pick
from training.drawing.colours import Colour, ramp

Field = NDArray[np.float32]
Size = tuple[int, int]


def fractal(rng: Rng, size: Size, cells: float = 4, octaves: int = 4, keep: float = 0.55, stretch: float = 1) -> Field:
    """Cloudy noise: octaves of smoothly enlarged random grids.

    Args:
        size: width and height of the field in pixels.
        cells: grid cells along the width in the first octave; each further octave doubles them.
        keep: amplitude of an octave relative to the one before.
        stretch: how many times longer the grains are along the height than along the width.

    Returns:
        float32 of shape (height, width), 0–1.
    """
    width, height = size
    total = np.zeros((height, width), np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        grid = (max(2, round(cells * height / width / stretch)), max(2, round(cells)))
        layer = Image.fromarray(rng.random(grid, dtype=np.float32))
        total += amplitude * np.asarray(layer.resize(size, Image.Resampling.BICUBIC))
        amplitude *= keep
        cells = min(cells * 2, width)
    total -= total.min()
    return np.asarray(total / max(float(total.max()), 1e-6), dtype=np.float32)


def coloured(field: Field, colours: Sequence[Colour]) -> Image.Image:
    """An RGB image of a field (0–1), whose values are mapped to evenly spaced colours."""
    return Image.fromarray(ramp(colours)[(field * 255).astype(np.uint8)])


def clouds(rng: Rng, size: Size, colours: Sequence[Colour], cells: float = 4, octaves: int = 4) -> Image.Image:
    """Cloudy noise in the given colours."""
    return coloured(fractal(rng, size, cells, octaves), colours)


def mottle(rng: Rng, image: Image.Image, strength: float, cells: float = 12, stretch: float = 1) -> Image.Image:
    """The image with its brightness varied by up to ±`strength` (0–1), as a rough surface does."""
    field = fractal(rng, image.size, cells, 3, 0.7, stretch)
    return lit(image, 1 + strength * (2 * field - 1))


def lit(image: Image.Image, light: Field | NDArray[np.floating]) -> Image.Image:
    """The image multiplied by a light map of shape (height, width) around 1."""
    pixels = np.asarray(image, np.float32) * light[..., None].astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def light_map(rng: Rng, size: Size, strength: float) -> Field:
    """Light that falls off across the picture, linearly or from a point: (height, width) around 1."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if maybe(rng, 0.5):
        angle = between(rng, 0, 2 * np.pi)
        slope = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
        return np.asarray(1 + 2 * strength * slope, dtype=np.float32)
    away = np.hypot(x / width - between(rng, 0, 1), y / height - between(rng, 0, 1))
    return np.asarray(1 + strength * (0.7 - 1.4 * away), dtype=np.float32)


def blurred(image: Image.Image, radius: float) -> Image.Image:
    """A box blur: three times faster than a Gaussian, and at these sizes it looks the same."""
    return image.filter(ImageFilter.BoxBlur(radius))


def blob(rng: Rng, size: Size, box: tuple[float, float, float, float], roughness: float = 0.2) -> Image.Image:
    """The mask ("L") of a roundish shape that fills the box; `roughness` 0 is an ellipse."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 7):
        radius += roughness * between(rng, -1, 1) / wave * np.cos(wave * angles + between(rng, 0, 6.3))
    x = (box[0] + box[2]) / 2 + (box[2] - box[0]) / 2 * radius * np.cos(angles)
    y = (box[1] + box[3]) / 2 + (box[3] - box[1]) / 2 * radius * np.sin(angles)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255)
    return mask


def rounded(rng: Rng, mask: Image.Image, depth: float = 0.6) -> Field:
    """A light map that makes a masked shape look solid: bright on one side, darker towards the rim."""
    radius = max(4, min(mask.size) // 8)
    soft = np.asarray(blurred(blurred(mask, radius), radius), np.float32) / 255
    tilt = light_map(rng, mask.size, 0.5)
    return np.asarray(tilt * (1 - depth + depth * soft * 1.4), dtype=np.float32)


def camera(rng: Rng, image: Image.Image) -> Image.Image:
    """The effects of taking and storing a picture, each in some pictures: exposure, colour cast, noise, blur, JPEG."""
    pixels = np.asarray(image, np.float32)
    if maybe(rng, 0.7):
        gain = between(rng, 0.85, 1.12) * (1 + rng.normal(0, 0.025, 3))
        pixels = (pixels - 128) * between(rng, 0.8, 1.12) + 128
        pixels = pixels * gain.astype(np.float32)
    if maybe(rng, 0.4):
        pixels = pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * between(rng, 1, 10)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if maybe(rng, 0.2):
        image = image.filter(ImageFilter.GaussianBlur(between(rng, 0.3, 1.3)))
    if maybe(rng, 0.1):
        image = pixelated(
            image, between(rng, 0.4, 0.7), pick(rng, (Image.Resampling.NEAREST, Image.Resampling.BILINEAR))
        )
    if maybe(rng, 0.5):
        image = as_jpeg(image, int(rng.integers(35, 95)))
    return image


def pixelated(image: Image.Image, scale: float, resample: Image.Resampling) -> Image.Image:
    """The image scaled down by `scale` and up again, as a low-resolution source looks."""
    small = image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))))
    return small.resize(image.size, resample)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    """The image after compression as JPEG."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
