"""Random choices: every drawing function takes its random numbers from the generator that it is given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

T = TypeVar("T")
Rng = np.random.Generator
Point = tuple[float, float]
Box = tuple[float, float, float, float]

_SHORTER_SIDE: ContextVar[tuple[int, int]] = ContextVar("shorter side", default=(180, 300))


@dataclass(frozen=True)
class Sketch:
    """A drawing before its camera effects: an RGB image, every caption that is true of it, and its category label."""

    image: Image.Image
    captions: tuple[str, ...]
    label: str | None = None


def pick(rng: Rng, choices: Sequence[T]) -> T:
    """One of the choices, evenly."""
    return choices[int(rng.integers(len(choices)))]


def maybe(rng: Rng, probability: float) -> bool:
    """True with the given probability (0–1)."""
    return bool(rng.random() < probability)


def between(rng: Rng, low: float, high: float) -> float:
    """A number in [low, high), evenly."""
    return float(rng.uniform(low, high))


@contextmanager
def canvas(low: int, high: int) -> Iterator[None]:
    """Pictures drawn in this context have a shorter side of `low` to `high` pixels, `high` not included."""
    token = _SHORTER_SIDE.set((low, high))
    try:
        yield
    finally:
        _SHORTER_SIDE.reset(token)


def canvas_size(rng: Rng) -> tuple[int, int]:
    """A random width and height in pixels, upright or wide, with an aspect ratio of at most 1.9.

    The shorter side is 180–299 pixels, unless `canvas` says otherwise.
    """
    short = int(rng.integers(*_SHORTER_SIDE.get()))
    long = int(short * between(rng, 1.0, 1.9) ** between(rng, 0.2, 1.0))
    return (short, long) if maybe(rng, 0.35) else (long, short)


def jittered_box(rng: Rng, size: tuple[int, int], low: float, high: float) -> Box:
    """A square box about the middle of a picture of this size.

    Its side is `low` to `high` of the picture's shorter side. A box smaller than the centre square, which is what a
    model sees of the picture, lies within that square; a larger one covers it.
    """
    width, height = size
    short = min(size)
    side = short * between(rng, low, high)
    slack = abs(short - side) / 2
    x = width / 2 + between(rng, -slack, slack)
    y = height / 2 + between(rng, -slack, slack)
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2
