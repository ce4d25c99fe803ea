"""The base class of all model replicas: batches, metrics, status and health."""

import logging
import os
from collections.abc import Sequence
from typing import Generic, NoReturn, TypeVar

from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.model import Model
from deployments.runtime.weights import Weights
from deployments.runtime.worker import ModelStatus, Worker

logger = logging.getLogger("ray.serve.panoptes.models")

Item = TypeVar("Item")
Result = TypeVar("Result")


def end_process(reason: Exception) -> NoReturn:
    """End this replica at once, because its model or its device is broken.

    Calls under way are made again by their callers, as after any replica that ended, and Serve starts another one at
    its next check. Errors as answers would fail all calls until the third failed check instead. Nothing is cleaned up:
    with a broken device that may hang.
    """
    logger.critical("The model or its device is broken, so this replica ends and Serve replaces it: %s", reason)
    logging.shutdown()
    os._exit(1)


class ModelReplica(Generic[Item, Result]):
    """A model in its replica. A deployment adds the methods that its callers call."""

    def __init__(self, model: Model[Item, Result], max_batch: int = 1) -> None:
        """`max_batch`: most items of one pass; 1 where batches gain nothing, such as for pictures of many sizes."""
        self._served = model
        self._metrics = ModelMetrics(" + ".join(part.id for part in model.parts))
        self._worker: Worker[Item, Result] = Worker(self._measured, model.warm_up, end_process, max_batch)
        for part, seconds in zip(model.parts, model.load_times_s, strict=True):
            logger.info("%s is ready on %s after %.1f s", part.id, model.device_name, seconds)

    async def weights(self) -> tuple[Weights, ...]:
        """The weights of each model that this replica serves."""
        return self._served.parts

    async def status(self) -> tuple[ModelStatus, ...]:
        """The status of each model; answers while a batch is computed. Models of one replica share a queue."""
        model = self._served
        return tuple(
            self._worker.status(part.name, model.device_name, seconds)
            for part, seconds in zip(model.parts, model.load_times_s, strict=True)
        )

    async def check_health(self) -> None:
        """Raises when the model hangs, so that Serve replaces the replica; one whose model is broken has ended."""
        await self._worker.check_health()

    def _measured(self, items: list[Item]) -> Sequence[Result]:
        with self._metrics.batch(len(items)):
            return self._served.results(items)
