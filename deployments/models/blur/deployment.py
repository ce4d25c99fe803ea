"""The Blur deployment: how much fine detail a picture has."""

import time

import cv2
from ray import serve

from deployments.models.blur.answers import BlurMeasures
from deployments.models.blur.model import BLUR, measure, probe
from deployments.pictures.pixels import Pixels
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import ModelStatus, Worker
from deployments.runtime.weights import Weights


@serve.deployment
class Blur:
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, threads: int) -> None:
        started = time.perf_counter()
        cv2.setNumThreads(threads)
        self._metrics = ModelMetrics(BLUR.id)
        self._worker: Worker[Pixels, BlurMeasures] = Worker(self._measure, probe)
        probe()
        self._load_time_s = time.perf_counter() - started

    async def analyze(self, image: Pixels) -> BlurMeasures:
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

    def _measure(self, images: list[Pixels]) -> list[BlurMeasures]:
        with self._metrics.batch(len(images)):
            return [measure(image) for image in images]
