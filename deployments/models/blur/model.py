"""Blur: how much fine detail a picture has, by the variance of its Laplacian (Pech-Pacheco et al. 2000)."""

from typing import Any

import cv2
import numpy as np
from PIL import Image

from deployments.models.blur.answers import BlurMeasures
from deployments.pictures.pixels import Pixels
from deployments.runtime.weights import Weights

BLUR = Weights("blur", "blur by the variance of the Laplacian", "opencv/laplacian-variance", "builtin")
# The long side at which two pictures of the same scene compare, whatever their resolution.
NORMAL_SIDE = 512
STRIP_ROWS = 512


def measure(image: Pixels) -> BlurMeasures:
    """Measure an RGB image (h, w, 3) of 0–255. Low is blurred; where "low" begins depends on the pictures."""
    grey: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = NORMAL_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Pillow's, because OpenCV's filters do not widen with the scale: figures would move with the resolution.
    normal = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))
    return BlurMeasures(laplacian_variance(grey), laplacian_variance(normal))


def laplacian_variance(grey: Pixels) -> float:
    """`cv2.Laplacian(grey, cv2.CV_64F).var()`, strip by strip: whole, it would take 16 bytes a pixel."""
    height = grey.shape[0]
    total = squares = 0.0
    for top in range(0, height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, height)
        first, last = max(0, top - 1), min(height, bottom + 1)  # a row more on each side for the kernel
        laplacian = cv2.Laplacian(grey[first:last], cv2.CV_64F)[top - first : bottom - first]
        total += float(laplacian.sum())
        squares += float(np.square(laplacian).sum())
    mean = total / grey.size
    return max(0.0, squares / grey.size - mean * mean)


def probe() -> None:
    measure(np.zeros((8, 8, 3), np.uint8))
