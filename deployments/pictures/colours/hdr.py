"""High dynamic range to sRGB: PQ and HLG (ITU-R BT.2100), with SDR's white at 203 cd/m² (BT.2408)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from deployments.pictures.colours.coded import BT2020, PQ, PRIMARIES
from deployments.pictures.colours.profiles import SRGB
from deployments.pictures.pixels import Pixels

WHITE, PQ_PEAK, HLG_PEAK = 203.0, 10_000.0, 1_000.0  # cd/m²
PQ_POWERS, PQ_TERMS = (1305 / 8192, 2523 / 32), (107 / 128, 2413 / 128, 2392 / 128)
HLG_TERMS, HLG_SYSTEM_GAMMA = (0.17883277, 0.28466892, 0.55991073), 1.2
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Of white: what is brighter is compressed, so that highlights still differ from the reference white.
KNEE = 0.85
STEPS = 4096  # of the square root of light

Light = NDArray[np.float32]


def to_sdr(pixels: Pixels, primaries: int, transfer: int) -> Pixels:
    """(h, w, 3) PQ or HLG to (h, w, 3) sRGB, by their numbers in ITU-T H.273.

    Up to the knee colours stay as they are. What is brighter is compressed and keeps its hue; SDR's white becomes 249.
    """
    light = displayed(light_of(transfer, 256)[pixels], transfer) @ _to_srgb(primaries).T
    light = np.clip(compressed(light), 0, 1)
    places: NDArray[np.uint16] = (np.sqrt(light) * (STEPS - 1) + 0.5).astype(np.uint16)
    return np.take(_encoded(), places)


@cache
def light_of(transfer: int, values: int) -> Light:
    """The light of each of as many encoded values: for PQ that of the screen, for HLG that of the scene, 1 at most."""
    encoded = np.linspace(0, 1, values)
    if transfer == PQ:
        (low, high), (one, two, three) = PQ_POWERS, PQ_TERMS
        root = encoded ** (1 / high)
        light = (np.maximum(root - one, 0) / (two - three * root)) ** (1 / low)
    else:
        a, b, c = HLG_TERMS
        light = np.where(encoded <= 0.5, encoded**2 / 3, (np.exp((encoded - c) / a) + b) / 12)
    return light.astype(np.float32)


def displayed(light: Light, transfer: int) -> Light:
    """The light (…, 3) that a screen gives for that of `light_of`, in units of SDR's white."""
    if transfer == PQ:
        return light * np.float32(PQ_PEAK / WHITE)
    luma = np.maximum(light @ BT2020_LUMA, 1e-6)[..., np.newaxis]
    return np.asarray(light * (HLG_PEAK / WHITE * luma ** (HLG_SYSTEM_GAMMA - 1)), np.float32)


def compressed(light: Light) -> Light:
    """Light (…, 3), 1 for SDR's white, compressed below 1 above the knee, with its hue kept."""
    brightest = np.maximum(light.max(axis=-1, keepdims=True), KNEE)
    return np.asarray(light * ((1 - (1 - KNEE) * np.exp((KNEE - brightest) / (1 - KNEE))) / brightest), np.float32)


@cache
def _to_srgb(primaries: int) -> Light:
    source = PRIMARIES.get(primaries, BT2020)
    return np.linalg.solve(SRGB.to_xyz(), source.to_xyz()).astype(np.float32)


@cache
def _encoded() -> Pixels:
    light = np.linspace(0, 1, STEPS) ** 2
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * curve + 0.5).astype(np.uint8)
