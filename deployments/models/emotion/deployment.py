"""The Emotion deployment: the faces of a picture and what they express."""

from ray import serve

from deployments.models.emotion.answers import Face
from deployments.models.emotion.model import EmotionModel
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica
from deployments.runtime.weights import FileWeights


@serve.deployment
class Emotion(ModelReplica[Pixels, list[Face]]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, weights: FileWeights, detector: str, threads: int, max_side: int) -> None:
        super().__init__(EmotionModel(weights, detector, threads, max_side))

    async def analyze(self, image: Pixels) -> list[Face]:
        """The faces of one image."""
        return (await self._worker.submit([image]))[0]
