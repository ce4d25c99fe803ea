"""The Emotion deployment: the faces of a picture and what they express."""

import logging

from ray import serve

from deployments.models.emotion.answers import Face
from deployments.models.emotion.model import EmotionModel
from deployments.pictures.pixels import Pixels
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import ModelStatus, Worker
from deployments.runtime.weights import FileWeights

logger = logging.getLogger("ray.serve.panoptes.emotion")


@serve.deployment
class Emotion:
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, weights: FileWeights, detector: str, threads: int, max_side: int) -> None:
        self._weights = weights
        self._model = EmotionModel(weights, detector, threads, max_side)
        self._metrics = ModelMetrics(weights.id)
        self._worker: Worker[Pixels, list[Face]] = Worker(self._find, self._model.warm_up)
        logger.info("%s ready with the detector %s in %.1f s", weights.id, detector, self._model.load_time_s)

    async def analyze(self, image: Pixels) -> list[Face]:
        """The faces of one image."""
        return (await self._worker.submit([image]))[0]

    async def weights(self) -> FileWeights:
        """What this replica serves."""
        return self._weights

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is."""
        return (self._worker.status(self._weights.name, "cpu", self._model.load_time_s),)

    async def check_health(self) -> None:
        """Raises when the network or the detector fails, so that Serve replaces the replica."""
        await self._worker.check_health()

    def _find(self, images: list[Pixels]) -> list[list[Face]]:
        with self._metrics.batch(len(images)):
            return [self._model.faces(image) for image in images]
