"""The Text deployment: the text in a picture, line by line."""

from ray import serve

from deployments.models.text.answers import TextLine
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica
from deployments.runtime.weights import PackagedWeights


@serve.deployment
class Text(ModelReplica[Pixels, list[TextLine]]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, weights: PackagedWeights, threads: int, min_confidence: float, max_side: int) -> None:
        # The process that binds the application imports this module and must not wait for ONNX Runtime.
        from deployments.models.text.model import TextModel

        super().__init__(TextModel(weights, threads, min_confidence, max_side))

    async def analyze(self, image: Pixels) -> list[TextLine]:
        """The lines of an image, in reading order."""
        return (await self._worker.submit([image]))[0]
