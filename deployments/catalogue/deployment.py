"""The Cataloguer deployment: any number of workers that process the uploads of the catalogue."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from ray import serve
from ray.serve import metrics
from ray.serve.handle import DeploymentHandle

from deployments.catalogue.config import CatalogueConfig
from deployments.catalogue.errors import CatalogueError
from deployments.catalogue.opened import CatalogueOpener
from deployments.catalogue.preparing import CatalogueInputs, Prepared
from deployments.catalogue.records import Result
from deployments.catalogue.scaling import BACKLOG
from deployments.catalogue.worker import CatalogueWorker, Describer, DescriptionFailed, ModelsUnavailable, Pace
from deployments.models.clip.weights import ClipWeights
from deployments.models.tagger.spec import TAGS
from deployments.pictures.pixels import Pixels
from deployments.runtime.calls import CALL_ERRORS, CATALOGUE, Call, Failure, call, cause_of, failure_of

logger = logging.getLogger("ray.serve.panoptes.catalogue")

THERE_TIMEOUT_S = 3.0

Handles = Mapping[str, DeploymentHandle[Any]]


class ServedModels(Describer):
    """The enabled models, each a deployment of its own, called in parallel."""

    def __init__(self, handles: Handles, clip: ClipWeights | None) -> None:
        """`handles`: by the deployment's name."""
        self._handles, self._clip = handles, clip

    async def look(self, prepared: Prepared) -> Result:
        """The models' answers on an upload."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(self._ask(name, pixels)) for name, pixels in prepared.inputs.items()}
        except ExceptionGroup as failures:
            # A failure that is charged to the image takes precedence over an unavailable model.
            raise min(failures.exceptions, key=lambda error: isinstance(error, ModelsUnavailable)) from None
        said = {name: task.result() for name, task in tasks.items()}
        vectors = {self._clip.id: said["Clip"][0]} if self._clip and "Clip" in said else {}
        return Result(0.0, caption=said.get("Captioner"), tags=tuple(said.get("Tagger", ())), vectors=vectors)

    def _call(self, name: str, pixels: Pixels) -> Call[Any]:
        """Call a model with its input of an upload."""
        handle = self._handles[name]
        if name == "Clip":
            asked: Call[Any] = handle.embed_images.remote(pixels[np.newaxis])
        elif name == "Tagger":
            asked = handle.analyze.remote(pixels, TAGS)
        else:
            asked = handle.analyze.remote(pixels)
        return asked

    async def _ask(self, name: str, pixels: Pixels) -> Any:
        try:
            return await call(name, lambda: self._call(name, pixels), CATALOGUE)
        except CALL_ERRORS as error:
            raise await self._charged(name, error) from error
        except Exception as error:
            raise DescriptionFailed(f"{name} failed ({type(cause_of(error)).__name__}).") from error

    async def _charged(self, name: str, error: Exception) -> ModelsUnavailable | DescriptionFailed:
        """The error for a call without an answer: only DescriptionFailed counts as an attempt of the image."""
        failure = failure_of(error)
        if failure is Failure.BUSY:
            return ModelsUnavailable(f"{name} has no room or is not there.")
        if failure is Failure.LATE:
            # A handle waits while no replica runs. If a replica runs and still gives no answer, the image is the cause.
            if not await self._is_there(name):
                return ModelsUnavailable(f"{name} is not there.")
            return DescriptionFailed(f"{name} gave no answer within {CATALOGUE.timeout_s:g} s.")
        if failure is Failure.ENDED:
            # One replica that ends is no sign of a bad image; as many in a row as `CATALOGUE` has attempts are.
            return DescriptionFailed(f"{CATALOGUE.attempts} replicas of {name} ended while they looked at the image.")
        return DescriptionFailed(f"{name} failed ({type(cause_of(error)).__name__}).")

    async def _is_there(self, name: str) -> bool:
        try:
            async with asyncio.timeout(THERE_TIMEOUT_S):
                await self._handles[name].status.remote()
        except CALL_ERRORS:
            return False
        return True


@serve.deployment
class Cataloguer:
    """One worker. Its work comes from the database; the only request that it takes is `wake`."""

    def __init__(
        self, config: CatalogueConfig, handles: Handles, clip: ClipWeights | None, wanted: CatalogueInputs, pace: Pace
    ) -> None:
        """Start the worker.

        Args:
            config: where the catalogue is.
            handles: the models that are switched on.
            clip: the weights that CLIP serves; None when it is switched off.
            wanted: what to prepare from a file: an input for each of `handles`.
            pace: its parallelism and its times.
        """
        stages = metrics.Counter(
            "panoptes_catalogue_stage_seconds_total",
            "Seconds that images spent in each stage of their processing.",
            tag_keys=("stage",),
        )

        def timed(stage: str, seconds: float) -> None:
            stages.inc(seconds, {"stage": stage})

        name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._worker = CatalogueWorker(name, CatalogueOpener(config), ServedModels(handles, clip), wanted, pace, timed)
        self._images = metrics.Gauge(
            "panoptes_catalogue_images", "Images that wait or failed, by state.", tag_keys=("state",)
        )
        self._running = asyncio.get_running_loop().create_task(self._worker.run())
        logger.info("The catalogue's worker %s begins; models: %s", name, ", ".join(sorted(handles)) or "none")

    async def wake(self) -> None:
        """Tell the worker that there is an upload."""
        self._worker.wake()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """The input of `scaling.by_backlog`: how many images are due or in progress. Empty when that is not known."""
        try:
            backlog = await self._worker.backlog()
        except CatalogueError:
            return {}
        for state, images in asdict(backlog).items():
            self._images.set(images, tags={"state": state})
        return {BACKLOG: float(backlog.ready + backlog.leased)}

    async def check_health(self) -> None:
        """Raises when the worker has ended, so that Serve replaces the replica; it survives a missing database."""
        if self._running.done():
            error = None if self._running.cancelled() else self._running.exception()
            raise RuntimeError("The catalogue's worker has ended.") from error

    async def __del__(self) -> None:  # Serve awaits it before it stops a replica
        self._worker.stop()
        await self._running
