"""Blur: how much fine detail a picture has, by the variance of its Laplacian (Pech-Pacheco et al. 2000)."""

import time
from typing import Any

import cv2
import numpy as np
from PIL import Image

from deployments.models.blur.answers import BlurMeasures
from deployments.models.blur.spec import BLUR
from deployments.pictures.pixels import Pixels
from deployments.runtime.model import Model

# Scaled to this long side, pictures of the same scene have comparable values whatever their resolution.
NORMAL_SIDE = 512
STRIP_ROWS = 512


def measure(image: Pixels) -> BlurMeasures:
    """Measure an RGB image (h, w, 3) of 0–255. A low variance means blur; the threshold depends on the pictures."""
    grey: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = NORMAL_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Pillow's filter widens with the scale. OpenCV's does not, so its values would depend on the resolution.
    normal = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))
    return BlurMeasures(laplacian_variance(grey), laplacian_variance(normal))


def laplacian_variance(grey: Pixels) -> float:
    """`cv2.Laplacian(grey, cv2.CV_64F).var()`, in strips: on the whole picture it would take 16 bytes per pixel."""
    height = grey.shape[0]
    total = squares = 0.0
    for top in range(0, height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, height)
        first, last = max(0, top - 1), min(height, bottom + 1)  # one more row on each side for the kernel
        laplacian = cv2.Laplacian(grey[first:last], cv2.CV_64F)[top - first : bottom - first]
        total += float(laplacian.sum())
        squares += float(np.square(laplacian).sum())
    mean = total / grey.size
    return max(0.0, squares / grey.size - mean * mean)


class BlurModel(Model[Pixels, BlurMeasures]):
    """`measure` as a model."""

    def __init__(self, threads: int) -> None:
        """`threads`: CPU threads of OpenCV."""
        started = time.perf_counter()
        cv2.setNumThreads(threads)
        self.warm_up()
        self.parts, self.load_times_s = (BLUR,), (time.perf_counter() - started,)

    def warm_up(self) -> None:
        """Measure a blank picture."""
        measure(np.zeros((8, 8, 3), np.uint8))

    def results(self, items: list[Pixels]) -> list[BlurMeasures]:
        """Measure images one by one."""
        return [measure(image) for image in items]
