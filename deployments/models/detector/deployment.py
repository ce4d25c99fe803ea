"""The Detector deployment: the objects in pictures and videos, with labels and boxes."""

from functools import partial

from ray import serve

from deployments.models.detector.answers import FoundObject
from deployments.pictures.pixels import Pixels
from deployments.runtime.pretrained.replica import PretrainedReplica
from deployments.runtime.weights import PretrainedWeights


@serve.deployment
class Detector(PretrainedReplica[list[FoundObject]]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(
        self, weights: PretrainedWeights, dtypes: dict[str, str], threads: int, max_batch: int, max_tokens: int
    ) -> None:
        from deployments.models.detector.model import DetectorModel

        super().__init__(partial(DetectorModel, weights, max_tokens=max_tokens), dtypes, threads, max_batch)

    async def analyze(self, image: Pixels) -> list[FoundObject]:
        """The objects in an image, in the model's order."""
        return (await self._look_at([image]))[0]

    async def analyze_frames(self, frames: Pixels) -> list[list[FoundObject]]:
        """The objects in each of the frames (n, h, w, 3) of a video."""
        return await self._look_at(list(frames))
