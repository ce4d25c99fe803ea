"""The Tagger deployment: labels of pictures and of videos, by an image classifier."""

from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray
from ray import serve

from deployments.models.tagger.answers import Tag, best
from deployments.pictures.pixels import Pixels
from deployments.runtime.pretrained.replica import PretrainedReplica
from deployments.runtime.weights import PretrainedWeights


@serve.deployment
class Tagger(PretrainedReplica[NDArray[np.float32]]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(self, weights: PretrainedWeights, dtypes: dict[str, str], threads: int, max_batch: int) -> None:
        from deployments.models.tagger.model import TaggerModel

        super().__init__(partial(TaggerModel, weights), dtypes, threads, max_batch)
        self._labels = cast("TaggerModel", self._model).labels

    async def analyze(self, image: Pixels, count: int) -> list[Tag]:
        """The `count` most probable labels of an image, the most probable first."""
        return best(self._labels, (await self._look_at([image]))[0], count)

    async def analyze_frames(self, frames: Pixels, count: int) -> list[Tag]:
        """The `count` most probable labels of the frames (n, h, w, 3) of a video, by their mean probabilities."""
        return best(self._labels, np.mean(await self._look_at(list(frames)), axis=0), count)
