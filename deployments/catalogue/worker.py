"""A worker of the catalogue: it leases images, has the models look at them, and stores the results.

If a worker dies, no image is lost: its images become due again when their leases end.
"""

import asyncio
import contextlib
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from deployments.catalogue.errors import (
    CatalogueError,
    ContentMissing,
    InvalidVector,
    LeaseLost,
    StoreFull,
    StoreUnavailable,
)
from deployments.catalogue.opened import CatalogueOpener, OpenCatalogue
from deployments.catalogue.preparing import CatalogueInputs, Prepared, prepare
from deployments.catalogue.records import Backlog, Lease, Result
from deployments.catalogue.store.base import original_key, thumbnail_key
from deployments.pictures.refusals import PictureRefused

logger = logging.getLogger("ray.serve.panoptes.catalogue")

# How long an image waits if a model or the store does not answer, and a worker if the database does not.
UNAVAILABLE_DELAY_S = 5.0
TIDY_EVERY_S = 600.0

# Called with the name of a stage of processing an image, and the seconds it took.
Timed = Callable[[str, float], None]


class ModelsUnavailable(Exception):
    """A model is unavailable or overloaded; the image is not the cause."""


class DescriptionFailed(Exception):
    """A model failed on the image; the message is a reason that is shown to users."""


class Describer(ABC):
    """Asks the models about an image."""

    @abstractmethod
    async def look(self, prepared: Prepared) -> Result:
        """Return the answers of the models, without processing time and EXIF.

        Raises:
            ModelsUnavailable: a model is unavailable or overloaded.
            DescriptionFailed: a model failed on the image.
        """


@dataclass(frozen=True)
class Pace:
    """The pace of a worker: images in parallel, and the seconds of a lease, between polls, and to drain.

    `drain_s` must be shorter than Serve's `graceful_shutdown_timeout_s`, because a worker that is killed while it
    drains cannot release its leases.
    """

    parallel: int = 4
    lease_s: float = 60.0
    poll_s: float = 2.0
    drain_s: float = 10.0


class CatalogueWorker:
    """One worker. `run` works until `stop` is called."""

    def __init__(
        self,
        name: str,
        opener: CatalogueOpener,
        describer: Describer,
        wanted: CatalogueInputs,
        pace: Pace | None = None,
        timed: Timed | None = None,
    ) -> None:
        """`name` is shown to operators. Connects to nothing yet."""
        self._name, self._opener, self._describer, self._wanted = name, opener, describer, wanted
        self._pace, self._timed = pace or Pace(), timed
        self._woken, self._stopping = asyncio.Event(), False
        self._under_way: dict[asyncio.Task[None], Lease] = {}
        # One thread, so that only one whole picture is in memory at a time.
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._tidy_at = time.monotonic() + random.uniform(0, TIDY_EVERY_S)

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._woken.set()

    async def backlog(self) -> Backlog:
        """The backlog of the queue. Raises as `CatalogueOpener.get` and `Queue.backlog` do."""
        return await (await self._opener.get()).queue.backlog()

    async def run(self) -> None:
        """Work until `stop` is called. If the database or the store does not answer, wait for it."""
        while not self._stopping:
            self._woken.clear()
            pause_s = self._pace.poll_s
            try:
                if await self._take():
                    continue
            except CatalogueError as error:
                logger.warning("The catalogue cannot be worked on: %s", error)
                pause_s = UNAVAILABLE_DELAY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause_s)
        await self._drain()

    def stop(self) -> None:
        """Start no more images. `run` ends once the current ones are finished, or released after `drain_s`."""
        self._stopping = True
        self._woken.set()

    async def _drain(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=self._pace.drain_s)
            leases = [self._under_way[task] for task in late]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            for lease in leases:
                with contextlib.suppress(CatalogueError):
                    await (await self._opener.get()).queue.release(lease)
        await self._opener.close()
        self._preparing.shutdown(wait=False)

    async def _take(self) -> bool:
        """Start as many images as there is room for, and return whether more may be due."""
        opened = await self._opener.get()
        if time.monotonic() > self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY_S
            await opened.catalogue.tidy()
        room = self._pace.parallel - len(self._under_way)
        if not room:
            return False
        leases = await opened.queue.lease(self._name, room, self._pace.lease_s)
        for lease in leases:
            task = asyncio.create_task(self._process(opened, lease))
            self._under_way[task] = lease
            task.add_done_callback(self._done)
        return len(leases) == room

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("An attempt on an image broke off; the image will be tried again", exc_info=error)

    async def _process(self, opened: OpenCatalogue, lease: Lease) -> None:
        """Make one attempt and record its outcome. If that fails, the image becomes due again when the lease ends."""
        keeping = asyncio.create_task(self._keep(opened, lease))
        try:
            await self._attempt(opened, lease)
        except LeaseLost:
            logger.info("Image %d was taken by another worker, or deleted", lease.image_id)
        except CatalogueError as error:
            logger.warning("Image %d waits for its lease to end: %s", lease.image_id, error)
        finally:
            keeping.cancel()

    async def _attempt(self, opened: OpenCatalogue, lease: Lease) -> None:
        queue = opened.queue
        try:
            result = await self._result(opened, lease)
            with self._stage("write"):
                await queue.complete(lease, result)
        except (ModelsUnavailable, StoreUnavailable, StoreFull) as error:
            logger.warning("Image %d waits: %s", lease.image_id, error)
            await queue.release(lease, UNAVAILABLE_DELAY_S)
        except PictureRefused as error:
            await queue.fail(lease, str(error), final=True)
        except (DescriptionFailed, ContentMissing, InvalidVector) as error:
            await queue.fail(lease, str(error))
        except CatalogueError:
            raise
        except Exception as error:
            logger.exception("Image %d failed", lease.image_id)
            await queue.fail(lease, f"Something broke here ({type(error).__name__}).")

    async def _result(self, opened: OpenCatalogue, lease: Lease) -> Result:
        """Compute the results for an image. Thumbnails are stored last, so that a failed attempt leaves none behind."""
        started = time.monotonic()
        with self._stage("read"):
            data = await opened.store.get(original_key(lease.sha256))
        work = partial(self._prepare, data)
        del data
        prepared = await asyncio.get_running_loop().run_in_executor(self._preparing, work)
        with self._stage("look"):
            found = await self._describer.look(prepared)
        with self._stage("thumbnails"):
            for size, file in prepared.thumbnails.items():
                await opened.store.put(thumbnail_key(lease.sha256, size), file)
        return replace(found, processing_time_s=time.monotonic() - started, exif=prepared.exif)

    def _prepare(self, data: bytes) -> Prepared:
        with self._stage("prepare"):  # in its thread, so that the wait for the thread is not measured
            return prepare(data, self._wanted)

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self._timed is not None:
            self._timed(name, time.perf_counter() - started)

    async def _keep(self, opened: OpenCatalogue, lease: Lease) -> None:
        """Keep extending the lease while the attempt runs."""
        while True:
            await asyncio.sleep(self._pace.lease_s / 3)
            try:
                await opened.queue.extend(lease, self._pace.lease_s)
            except LeaseLost:
                return
            except CatalogueError as error:
                logger.warning("The lease of image %d could not be extended: %s", lease.image_id, error)
