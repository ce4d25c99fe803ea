"""Samples of any kind of number, brought to 8 bits a channel.

Unsigned samples of up to 16 bits have a fixed range. What has none (signed, 32 bits and more, floats) is scaled from
its smallest to its largest value. Where the file names the range itself, that one counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures.budget import Budget

BLOCK = 1 << 20  # pixels at a time
FULL_16 = 65535
# The sensors and scanners that write fewer bits into 16 without saying so have up to 14.
MOST_NARROW = (1 << 14) - 1
# A file writes the value of its missing samples in decimals.
SAME_VALUE = 1e-6

Channel = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """The channels of a picture as a file keeps them.

    Attributes:
        mode: L, LA, La, RGB, RGBA, RGBa or CMYK, as Pillow names them.
        channels: (h, w) each, of any integer or float type, one for each letter of the mode.
        bits: how many of them an unsigned sample uses; 0 where samples have no fixed range.
        white_is_zero: the brightest grey is the lowest value.
        lowest, highest: the range that the file claims.
        no_data: the value of samples that are missing; they become transparent, as NaN does.
        transparent: the one colour that is transparent.
    """

    mode: str
    channels: tuple[Channel, ...]
    bits: int = 0
    white_is_zero: bool = False
    lowest: float | None = None
    highest: float | None = None
    no_data: float | None = None
    transparent: tuple[int, ...] | None = None

    @property
    def colours(self) -> tuple[Channel, ...]:
        """The channels but for alpha."""
        return self.channels[:-1] if self.mode[-1] in "Aa" else self.channels


def to_8_bits(samples: Samples, budget: Budget) -> Image.Image:
    """The picture as L, LA, RGB, RGBA or CMYK.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    low, high = _range(samples, budget)
    mode = samples.mode
    planes = [_scaled(channel, low, high, budget) for channel in samples.colours]
    if samples.white_is_zero:
        for plane in planes:
            np.subtract(255, plane, out=plane)
    if mode[-1] in "Aa":
        planes.append(_scaled(samples.channels[-1], 0, _opaque(samples, high), budget))
    elif (shown := _shown(samples, budget)) is not None:
        planes.append(shown)
        mode += "A"
    bands = [Image.fromarray(plane) for plane in planes]
    image = bands[0] if mode == "L" else Image.merge(mode, bands)
    return image.convert(mode.upper()) if mode[-1] == "a" else image


def _blocks(channel: Channel) -> Iterator[slice]:
    step = max(1, BLOCK // channel.shape[1])
    return (slice(row, row + step) for row in range(0, channel.shape[0], step))


def _range(samples: Samples, budget: Budget) -> tuple[float, float]:
    """The values that become 0 and 255."""
    low, high = _extremes(samples, budget)
    claimed = samples.highest is not None and high <= samples.highest
    if samples.bits:
        full = float((1 << samples.bits) - 1)
        if claimed:
            return 0, float(samples.highest or full)
        narrow = full == FULL_16 and 0 < high <= MOST_NARROW and not _widened(samples, budget)
        return 0, high if narrow else full
    if samples.lowest is not None and low >= samples.lowest:
        low = samples.lowest
    elif len(samples.colours) > 1 and samples.colours[0].dtype.kind == "f" and min(low, 0) == 0 and high <= 1:
        return 0, 1  # floats of several channels are fractions
    return low, float(samples.highest) if claimed and samples.highest is not None else high


def _extremes(samples: Samples, budget: Budget) -> tuple[float, float]:
    """The smallest and the largest value that is there, or 0 and 0."""
    ends: list[tuple[float, float]] = []
    for channel in samples.colours:
        for block in _blocks(channel):
            budget.check()
            values = channel[block]
            if samples.no_data is not None or values.dtype.kind == "f":
                values = values[~_missing(values, samples.no_data) & np.isfinite(values)]
            if values.size:
                ends.append((float(values.min()), float(values.max())))
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0, 0)


def _widened(samples: Samples, budget: Budget) -> bool:
    """Whether 16 bits hold what were 8: all values are multiples of 256, or of 257."""
    shifted = repeated = True
    for channel in samples.colours:
        for block in _blocks(channel):
            budget.check()
            shifted = shifted and not (channel[block] % 256).any()
            repeated = repeated and not (channel[block] % 257).any()
            if not shifted and not repeated:
                return False
    return True


def _scaled(channel: Channel, low: float, high: float, budget: Budget) -> NDArray[np.uint8]:
    grey = np.empty(channel.shape, np.uint8)
    for block in _blocks(channel):
        budget.check()
        values = channel[block]
        if values.dtype.kind == "u" and (low, high) == (0, FULL_16):
            grey[block] = values >> 8
        elif values.dtype.kind == "u" and (low, high) == (0, 255):
            grey[block] = values
        elif high > low:
            # halves, because the whole range of floats would be infinite
            wide = np.nan_to_num(values.astype(np.float64), copy=False, nan=low, posinf=high, neginf=low)
            wide = np.clip(wide, low, high, out=wide) / 2 - low / 2
            grey[block] = wide * (255 / (high / 2 - low / 2)) + 0.5
        else:
            grey[block] = 0
    return grey


def _opaque(samples: Samples, high: float) -> float:
    """The value of alpha that hides everything behind."""
    alpha = samples.channels[-1]
    if not samples.bits:
        return float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind in "iu" else 1
    return high if alpha.max() <= high else float((1 << samples.bits) - 1)


def _shown(samples: Samples, budget: Budget) -> NDArray[np.uint8] | None:
    """255 where a pixel is there, 0 where it is transparent or missing; None if all are there."""
    first = samples.channels[0]
    floats = first.dtype.kind == "f"
    if samples.mode == "CMYK" or not (floats or samples.no_data is not None or samples.transparent is not None):
        return None
    shown = np.empty(first.shape, np.uint8)
    for block in _blocks(first):
        budget.check()
        hidden = np.ones(first[block].shape, bool)
        for position, channel in enumerate(samples.channels):
            if samples.transparent is not None:
                hidden &= channel[block] == samples.transparent[position]
            else:
                hidden &= _missing(channel[block], samples.no_data)
        shown[block] = np.where(hidden, 0, 255)
    return None if shown.all() else shown


def _missing(values: Channel, no_data: float | None) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = np.isnan(values)
    if no_data is not None and values.dtype.kind == "f" and np.isfinite(no_data):
        most = float(np.finfo(values.dtype).max)
        ends = (no_data * (1 - SAME_VALUE), no_data * (1 + SAME_VALUE))
        missing |= (values >= max(-most, min(ends))) & (values <= min(most, max(ends)))
    elif no_data is not None:
        missing |= values == no_data
    return missing
