"""High dynamic range to sRGB: PQ and HLG (ITU-R BT.2100), with SDR's white at 203 cd/m² (BT.2408)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from deployments.pictures.coded import BT2020, PQ, PRIMARIES
from deployments.pictures.pixels import Pixels
from deployments.pictures.profiles import SRGB

WHITE, PQ_PEAK, HLG_PEAK = 203.0, 10_000.0, 1_000.0  # cd/m²
PQ_POWERS, PQ_TERMS = (1305 / 8192, 2523 / 32), (107 / 128, 2413 / 128, 2392 / 128)
HLG_TERMS, HLG_SYSTEM_GAMMA = (0.17883277, 0.28466892, 0.55991073), 1.2
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
KNEE = 0.85  # of white, as in the frames of videos
STEPS = 4096  # of the square root of light

Light = NDArray[np.float32]


def to_sdr(pixels: Pixels, primaries: int, transfer: int) -> Pixels:
    """(h, w, 3) PQ or HLG to (h, w, 3) sRGB, by their numbers in ITU-T H.273.

    Up to the knee colours stay as they are. What is brighter is compressed and keeps its hue; SDR's white becomes 249,
    so that highlights still differ from it.
    """
    light = _light(transfer)[pixels]
    if transfer != PQ:
        luma = np.maximum(light @ BT2020_LUMA, 1e-6)[..., np.newaxis]
        light *= HLG_PEAK / WHITE * luma ** (HLG_SYSTEM_GAMMA - 1)
    light = light @ _to_srgb(primaries).T
    brightest = np.maximum(light.max(axis=-1, keepdims=True), KNEE)
    light *= (1 - (1 - KNEE) * np.exp((KNEE - brightest) / (1 - KNEE))) / brightest
    np.clip(light, 0, 1, out=light)
    return _encoded()[(np.sqrt(light, out=light) * (STEPS - 1) + 0.5).astype(np.uint16)]


@cache
def _light(transfer: int) -> Light:
    """The light of each of 256 values: for PQ in units of SDR's white, for HLG that of the scene, 0–1."""
    values = np.arange(256) / 255
    if transfer == PQ:
        (low, high), (one, two, three) = PQ_POWERS, PQ_TERMS
        root = values ** (1 / high)
        light = PQ_PEAK / WHITE * (np.maximum(root - one, 0) / (two - three * root)) ** (1 / low)
    else:
        a, b, c = HLG_TERMS
        light = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def _to_srgb(primaries: int) -> Light:
    source = PRIMARIES.get(primaries, BT2020)
    return np.linalg.solve(SRGB.to_xyz(), source.to_xyz()).astype(np.float32)


@cache
def _encoded() -> Pixels:
    light = np.linspace(0, 1, STEPS) ** 2
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * curve + 0.5).astype(np.uint8)
