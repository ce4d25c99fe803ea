"""Blur: how much fine detail a picture has, by the variance of its Laplacian (Pech-Pacheco et al. 2000)."""

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from ray import serve

from deployments.figures import BlurFigures
from deployments.metrics import ModelMetrics
from deployments.replica import ModelStatus, Worker
from deployments.weights import Weights

Pixels = NDArray[np.uint8]

BLUR = Weights("blur", "blur by the variance of the Laplacian", "opencv/laplacian-variance", "builtin")
# The long side at which two pictures of the same scene compare, whatever their resolution.
NORMAL_SIDE = 512
STRIP_ROWS = 512


def measure(image: Pixels) -> BlurFigures:
    """Measure an RGB image (h, w, 3) of 0–255. Low is blurred; where "low" begins depends on the pictures."""
    grey: Any = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = NORMAL_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Pillow's, because OpenCV's filters do not widen with the scale: figures would move with the resolution.
    normal = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))
    return BlurFigures(laplacian_variance(grey), laplacian_variance(normal))


def laplacian_variance(grey: NDArray[np.uint8]) -> float:
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


@serve.deployment
class Blur:
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, threads: int) -> None:
        started = time.perf_counter()
        cv2.setNumThreads(threads)
        self._metrics = ModelMetrics(BLUR.id)
        self._worker: Worker[Pixels, BlurFigures] = Worker(self._measure, _probe)
        _probe()
        self._load_time_s = time.perf_counter() - started

    async def analyze(self, image: Pixels) -> BlurFigures:
        """Measure one image."""
        return (await self._worker.submit([image]))[0]

    async def weights(self) -> Weights:
        """What this replica serves."""
        return BLUR

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is."""
        return (self._worker.status(BLUR.name, "cpu", self._load_time_s),)

    async def check_health(self) -> None:
        """Raises when measuring fails."""
        await self._worker.check_health()

    def _measure(self, images: list[Pixels]) -> list[BlurFigures]:
        with self._metrics.batch(len(images)):
            return [measure(image) for image in images]


def _probe() -> None:
    measure(np.zeros((8, 8, 3), np.uint8))
