"""The Captioner deployment: a sentence for each picture."""

from functools import partial

from ray import serve

from deployments.pictures.pixels import Pixels
from deployments.runtime.pretrained.replica import PretrainedReplica
from deployments.runtime.weights import PretrainedWeights


@serve.deployment
class Captioner(PretrainedReplica[str]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(
        self, weights: PretrainedWeights, dtypes: dict[str, str], threads: int, max_batch: int, max_tokens: int
    ) -> None:
        from deployments.models.captioner.model import CaptionerModel

        super().__init__(partial(CaptionerModel, weights, max_tokens=max_tokens), dtypes, threads, max_batch)

    async def analyze(self, image: Pixels) -> str:
        """Describe an image; images that arrive together are described together."""
        return (await self._look_at([image]))[0]
