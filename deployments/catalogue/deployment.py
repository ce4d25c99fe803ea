"""The Cataloguer deployment: any number of workers that process the uploads of the catalogue."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve import metrics
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.catalogue.config import CatalogueConfig
from deployments.catalogue.errors import CatalogueError
from deployments.catalogue.opened import Opener
from deployments.catalogue.preparing import CatalogueInputs, Prepared
from deployments.catalogue.records import Result
from deployments.catalogue.scaling import BACKLOG
from deployments.catalogue.worker import CatalogueWorker, Looker, LookerAway, LookFailed, Pace
from deployments.models.tagger.answers import Tag
from deployments.pictures.pixels import Pixels
from deployments.runtime.weights import ClipWeights, Weights

logger = logging.getLogger("ray.serve.panoptes.catalogue")

CATALOGUER = Weights("cataloguer", "processing of the catalogue's uploads", "panoptes/cataloguer", "builtin")
TAGS = 5
MODEL_TIMEOUT_S = 60.0
THERE_TIMEOUT_S = 3.0

Handles = Mapping[str, DeploymentHandle[Any]]


class Call(Protocol):
    """What a handle's `remote` gives."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    def cancel(self) -> None: ...


class ServedModels(Looker):
    """The models that are switched on, each its own deployment, looking side by side."""

    def __init__(self, handles: Handles, clip: ClipWeights | None) -> None:
        """`handles`: by the deployment's name."""
        self._handles, self._clip = handles, clip

    async def look(self, prepared: Prepared) -> Result:
        """What the models say."""
        try:
            async with asyncio.TaskGroup() as group:
                vector = group.create_task(self._embedding(prepared.for_clip))
                caption = group.create_task(self._caption(prepared.for_captioner))
                tags = group.create_task(self._tags(prepared.for_tagger))
        except ExceptionGroup as failures:
            # What one model says against the image weighs more than that another one is away.
            raise min(failures.exceptions, key=lambda error: isinstance(error, LookerAway)) from None
        return Result(0.0, caption=caption.result(), tags=tags.result(), vectors=vector.result())

    async def _embedding(self, pixels: Pixels | None) -> dict[str, Any]:
        if pixels is None or self._clip is None:
            return {}
        vectors = await self._ask("Clip", self._handles["Clip"].embed_images.remote(pixels[np.newaxis]))
        return {self._clip.id: vectors[0]}

    async def _caption(self, pixels: Pixels | None) -> str | None:
        if pixels is None:
            return None
        caption: str = await self._ask("Captioner", self._handles["Captioner"].analyze.remote(pixels))
        return caption

    async def _tags(self, pixels: Pixels | None) -> tuple[Tag, ...]:
        if pixels is None:
            return ()
        return tuple(await self._ask("Tagger", self._handles["Tagger"].analyze.remote(pixels, TAGS)))

    async def _ask(self, name: str, call: Call) -> Any:
        try:
            async with asyncio.timeout(MODEL_TIMEOUT_S):
                try:
                    return await call
                except asyncio.CancelledError:
                    call.cancel()  # its model would compute for nobody
                    raise
        except (BackPressureError, DeploymentUnavailableError) as error:
            raise LookerAway(f"{name} has no room or is not there.") from error
        except TimeoutError as error:
            # A handle waits for as long as no replica runs; one that is there and still silent is the image's doing.
            if not await self._is_there(name):
                raise LookerAway(f"{name} is not there.") from error
            raise LookFailed(f"{name} gave no answer within {MODEL_TIMEOUT_S:g} s.") from error
        except RayActorError as error:
            raise LookFailed(f"{name} ended while it looked at the image.") from error
        except Exception as error:
            cause = getattr(error, "cause", error)
            raise LookFailed(f"{name} failed ({type(cause).__name__}).") from error

    async def _is_there(self, name: str) -> bool:
        try:
            async with asyncio.timeout(THERE_TIMEOUT_S):
                await self._handles[name].status.remote()
        except (TimeoutError, RayError, BackPressureError, DeploymentUnavailableError):
            return False
        return True


@serve.deployment
class Cataloguer:
    """One worker. It takes no requests but to wake it: its work is in the database."""

    def __init__(
        self, config: CatalogueConfig, handles: Handles, clip: ClipWeights | None, wanted: CatalogueInputs, pace: Pace
    ) -> None:
        """Begin to work.

        Args:
            config: where the catalogue is.
            handles: the models that are switched on.
            clip: what CLIP serves, None when it is switched off.
            wanted: what the worker makes of a file: an input for each of `handles`.
            pace: how it works.
        """
        stages = metrics.Counter(
            "panoptes_catalogue_stage_seconds_total",
            "Seconds that images spent in each stage of their processing.",
            tag_keys=("stage",),
        )

        def timed(stage: str, seconds: float) -> None:
            stages.inc(seconds, {"stage": stage})

        name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._worker = CatalogueWorker(name, Opener(config), ServedModels(handles, clip), wanted, pace, timed)
        self._images = metrics.Gauge(
            "panoptes_catalogue_images", "Images that wait or failed, by state.", tag_keys=("state",)
        )
        self._running = asyncio.get_running_loop().create_task(self._worker.run())
        logger.info("The catalogue's worker %s begins; models: %s", name, ", ".join(sorted(handles)) or "none")

    async def wake(self) -> None:
        """There is an upload."""
        self._worker.wake()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What `scaling.by_backlog` decides from: images that are due or under way. Measured while it is known."""
        try:
            backlog = await self._worker.backlog()
        except CatalogueError:
            return {}
        for state, images in asdict(backlog).items():
            self._images.set(images, tags={"state": state})
        return {BACKLOG: float(backlog.ready + backlog.leased)}

    async def check_health(self) -> None:
        """Raises when the worker has ended, so that Serve replaces the replica; a database that is away is not that."""
        if self._running.done():
            error = None if self._running.cancelled() else self._running.exception()
            raise RuntimeError("The catalogue's worker has ended.") from error

    async def __del__(self) -> None:  # Serve awaits it before it stops a replica
        self._worker.stop()
        await self._running
