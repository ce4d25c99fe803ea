"""The quality deployment: technical quality and aesthetics of a picture, by three measures of pyiqa."""

import logging

from ray import serve

from deployments.models.quality.answers import QualityMeasures
from deployments.pictures.pixels import Pixels
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import ModelStatus, Worker
from deployments.runtime.weights import FileWeights

logger = logging.getLogger("ray.serve.panoptes.quality")


@serve.deployment
class Quality:
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(
        self, weights: tuple[FileWeights, FileWeights, FileWeights], dtypes: dict[str, str], threads: int,
        max_pixels: int,
    ) -> None:  # fmt: skip
        """Load BRISQUE, the technical and the aesthetic NIMA, in this order, and warm up."""
        # As in clip.py: whoever binds the application does not wait for torch.
        from deployments.models.quality.model import QualityModel
        from deployments.runtime.devices import assigned_gpu_fraction, select

        device = select(dtypes, threads, assigned_gpu_fraction())
        self._weights = weights
        self._model: QualityModel = QualityModel(*weights, device, max_pixels)
        self._metrics = ModelMetrics(" + ".join(one.id for one in weights))
        # One by one: pictures differ in size, and a batch of several gains little on a CPU.
        self._worker: Worker[Pixels, QualityMeasures] = Worker(self._measure, self._model.warm_up)
        logger.info("Quality ready on %s with %d threads", device.name, device.threads)

    async def analyze(self, image: Pixels) -> QualityMeasures:
        """Measure one image."""
        return (await self._worker.submit([image]))[0]

    async def weights(self) -> tuple[FileWeights, FileWeights, FileWeights]:
        """What this replica serves: BRISQUE, the technical and the aesthetic NIMA."""
        return self._weights

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is, measure by measure; they share one queue."""
        device = self._model.device.name
        return tuple(
            self._worker.status(weights.name, device, load_time_s)
            for weights, load_time_s in zip(self._weights, self._model.load_times_s, strict=True)
        )

    async def check_health(self) -> None:
        """Raises when a measure or its device fails, so that Serve replaces the replica."""
        await self._worker.check_health()

    def _measure(self, images: list[Pixels]) -> list[QualityMeasures]:
        with self._metrics.batch(len(images)):
            return [self._model.measure(image) for image in images]
