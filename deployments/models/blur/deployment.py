"""The Blur deployment: how much fine detail a picture has."""

from ray import serve

from deployments.models.blur.answers import BlurMeasures
from deployments.models.blur.model import BlurModel
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica


@serve.deployment
class Blur(ModelReplica[Pixels, BlurMeasures]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, threads: int) -> None:
        super().__init__(BlurModel(threads))

    async def analyze(self, image: Pixels) -> BlurMeasures:
        """Measure one image."""
        return (await self._worker.submit([image]))[0]
