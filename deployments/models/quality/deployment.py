"""The Quality deployment: technical quality and aesthetics of a picture, by three measures of pyiqa."""

from ray import serve

from deployments.models.quality.answers import QualityMeasures
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica
from deployments.runtime.weights import FileWeights


@serve.deployment
class Quality(ModelReplica[Pixels, QualityMeasures]):
    """One replica; images arrive as uint8 arrays (h, w, 3), RGB."""

    def __init__(
        self,
        weights: tuple[FileWeights, FileWeights, FileWeights],
        dtypes: dict[str, str],
        threads: int,
        max_pixels: int,
    ) -> None:
        """Load BRISQUE, the technical and the aesthetic NIMA, in this order, and warm up."""
        # The process that binds the application imports this module and must not wait for torch.
        from deployments.machine.devices import assigned_gpu_fraction, select
        from deployments.models.quality.model import QualityModel

        super().__init__(QualityModel(*weights, select(dtypes, threads, assigned_gpu_fraction()), max_pixels))

    async def analyze(self, image: Pixels) -> QualityMeasures:
        """Measure one image."""
        return (await self._worker.submit([image]))[0]
