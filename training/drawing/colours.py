"""Colours by name, and how they vary."""

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.drawing.chance import Rng, between

Colour = tuple[int, int, int]

# Ranges of hue (degrees; red runs past 360), saturation and value. They are far enough apart that a name stays right
# after a colour cast
NAMED: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((352, 366), (0.78, 1.0), (0.65, 0.95)),
    "orange": ((22, 34), (0.82, 1.0), (0.9, 1.0)),
    "yellow": ((50, 60), (0.75, 1.0), (0.88, 1.0)),
    "green": ((100, 145), (0.6, 1.0), (0.4, 0.8)),
    "blue": ((212, 240), (0.65, 1.0), (0.55, 0.95)),
    "purple": ((270, 288), (0.55, 0.95), (0.45, 0.8)),
    "pink": ((325, 340), (0.35, 0.6), (0.92, 1.0)),
    "brown": ((18, 30), (0.6, 0.85), (0.3, 0.5)),
    "black": ((0, 360), (0.0, 0.3), (0.02, 0.14)),
    "white": ((0, 360), (0.0, 0.05), (0.93, 1.0)),
    "grey": ((0, 360), (0.0, 0.08), (0.42, 0.65)),
}
CHROMATIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


def named(rng: Rng, name: str) -> Colour:
    """A random shade of a named colour."""
    hue, saturation, value = NAMED[name]
    return from_hsv(between(rng, *hue), between(rng, *saturation), between(rng, *value))


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Hue in degrees, saturation and value 0–1, to RGB 0–255."""
    red, green, blue = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def any_colour(
    rng: Rng, saturation: tuple[float, float] = (0.1, 0.9), value: tuple[float, float] = (0.15, 1)
) -> Colour:
    """A random colour of any hue."""
    return from_hsv(between(rng, 0, 360), between(rng, *saturation), between(rng, *value))


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (factor < 1) or brighter (> 1)."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


def vary(rng: Rng, colour: Colour, spread: int = 14) -> Colour:
    """The colour with each channel off by up to `spread`."""
    red, green, blue = (int(np.clip(channel + rng.integers(-spread, spread + 1), 0, 255)) for channel in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The first colour with a share (0–1) of the second mixed in."""
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def ramp(colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Evenly spaced colour stops as a lookup table of shape (256, 3)."""
    stops = np.linspace(0, 255, len(colours))
    table = [np.interp(np.arange(256), stops, [colour[channel] for colour in colours]) for channel in range(3)]
    return np.stack(table, axis=1).astype(np.uint8)
