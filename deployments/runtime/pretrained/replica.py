"""The base class of replicas with a model of transformers: pictures are prepared in parallel, computed in batches."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica

if TYPE_CHECKING:
    from deployments.machine.devices import Device
    from deployments.runtime.pretrained.model import PretrainedModel

Result = TypeVar("Result")


class PretrainedReplica(ModelReplica[Any, Result], Generic[Result]):
    """One replica of a model of transformers."""

    def __init__(
        self,
        load: "Callable[[Device], PretrainedModel[Result]]",
        dtypes: dict[str, str],
        threads: int,
        max_batch: int,
    ) -> None:
        """Load the model on this replica's device."""
        # The process that binds the application imports this module and must not wait for torch.
        from deployments.machine.devices import assigned_gpu_fraction, select

        device = select(dtypes, threads, assigned_gpu_fraction())
        self._model = load(device)
        super().__init__(self._model, max_batch)
        self._max_batch = max_batch
        self._preparing = ThreadPoolExecutor(device.threads, thread_name_prefix="prepare")

    async def _look_at(self, images: Sequence[Pixels]) -> list[Result]:
        """The results of pictures (h, w, 3). They are prepared one batch at a time, to bound the memory."""
        run, results = asyncio.get_running_loop().run_in_executor, list[Result]()
        for start in range(0, len(images), self._max_batch):
            batch = images[start : start + self._max_batch]
            prepared = await asyncio.gather(*(run(self._preparing, self._model.prepare, image) for image in batch))
            results += await self._worker.submit(prepared)
        return results
