"""What the deployments of transformers' models share: pictures prepared side by side and computed in batches."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from deployments.pictures.pixels import Pixels
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import ModelStatus, Worker
from deployments.runtime.weights import PretrainedWeights

if TYPE_CHECKING:
    from deployments.runtime.devices import Device
    from deployments.runtime.pretrained_model import PretrainedModel

logger = logging.getLogger("ray.serve.panoptes.pretrained")

Result = TypeVar("Result")
Model = TypeVar("Model", bound="PretrainedModel[Any]")


class PretrainedReplica(Generic[Result]):
    """One replica of a model that looks at pictures: it prepares them side by side and computes them in batches."""

    def _start(
        self,
        load: "Callable[[Device], Model]",
        dtypes: dict[str, str],
        threads: int,
        max_batch: int,
    ) -> Model:
        """Load; returns the model."""
        # torch is imported where a replica starts, as for CLIP.
        from deployments.runtime.devices import assigned_gpu_fraction, select

        device = select(dtypes, threads, assigned_gpu_fraction())
        model = load(device)
        self._model: PretrainedModel[Result] = model
        self._metrics, self._max_batch = ModelMetrics(model.weights.id), max_batch
        self._worker: Worker[Any, Result] = Worker(self._results, model.warm_up, max_batch)
        self._preparing = ThreadPoolExecutor(device.threads, thread_name_prefix="prepare")
        logger.info(
            "%s ready on %s with %d threads in %.1f s",
            model.weights.id, device.name, device.threads, model.load_time_s,
        )  # fmt: skip
        return model

    async def _look_at(self, images: Sequence[Pixels]) -> list[Result]:
        """The results of pictures (h, w, 3); of many, those of a batch are prepared while others wait as they are."""
        run, results = asyncio.get_running_loop().run_in_executor, list[Result]()
        for start in range(0, len(images), self._max_batch):
            batch = images[start : start + self._max_batch]
            prepared = await asyncio.gather(*(run(self._preparing, self._model.prepare, image) for image in batch))
            results += await self._worker.submit(prepared)
        return results

    async def weights(self) -> PretrainedWeights:
        """What this replica serves."""
        return self._model.weights

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is; answers while the model computes."""
        model = self._model
        return (self._worker.status(model.weights.name, model.device.name, model.load_time_s),)

    async def check_health(self) -> None:
        """Raises when the model or its device fails, so that Serve replaces the replica."""
        await self._worker.check_health()

    def _results(self, images: list[Any]) -> list[Result]:
        with self._metrics.batch(len(images)):
            return self._model.results(images)
