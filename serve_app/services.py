"""What the routes of one ingress replica work with."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Depends, Request

from configs.settings import Settings
from deployments.pictures.pixels import Pixels
from serve_app.clients.handles import ClipClient, Models
from serve_app.features.cataloguing import CatalogueDoor
from serve_app.http.errors import InvalidRequest, PanoptesError, TooLarge
from serve_app.http.metrics import images_total
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoded, Decoder
from serve_app.schemas.common import ImageInput, decode_base64

ARRIVALS_A_PICTURE = 4
DOCUMENTS_A_PICTURE, VIDEO_DOCUMENTS = 2, 2

Item = TypeVar("Item")
Value = TypeVar("Value")


class Services:
    """Settings, the doors for bytes and pixels, and the models.

    Attributes:
        pictures: whole pictures are large: only so many are under way at a time in a replica.
        arrivals: their files are smaller, and one that is still fetched must not keep the others waiting.
        documents: of /process. However many come, other routes find the models at work for them no more than this.
        videos: of /video.
        uploads: into the catalogue: a database or store that is slow keeps nobody else waiting.
    """

    def __init__(self, settings: Settings, models: Models, decoder: Decoder, fetcher: Fetcher) -> None:
        self.settings, self.models, self.decoder, self.fetcher = settings, models, decoder, fetcher
        self.started_at = time.time()
        most = settings.max_concurrent_pictures
        self.pictures = asyncio.Semaphore(most)
        self.arrivals = asyncio.Semaphore(ARRIVALS_A_PICTURE * most)
        self.documents = asyncio.Semaphore(DOCUMENTS_A_PICTURE * most)
        self.videos = asyncio.Semaphore(VIDEO_DOCUMENTS)
        self.uploads = asyncio.Semaphore(most)
        self.catalogue = CatalogueDoor(settings, models.cataloguer)

    @property
    def clip(self) -> ClipClient:
        return self.models.clip

    def check_size(self, size_bytes: int) -> None:
        """TooLarge for a file that is larger than an image may be."""
        if size_bytes > self.settings.max_image_bytes:
            raise TooLarge(f"An image may have at most {self.settings.max_image_mb:g} MB: send a smaller one.")

    async def fit_for_clip(self, data: bytes) -> Decoded:
        """An image as CLIP takes it; TooLarge, EmptyFile, InvalidImage or ImageTooLarge for one that cannot be."""
        self.check_size(len(data))
        return await self.decoder.fit(data, self.clip.weights.image.size)

    async def read(self, image: ImageInput) -> bytes:
        """The bytes of an image that came in JSON."""
        if image.url is not None:
            return await self.fetcher.get(image.url)
        try:
            return await asyncio.to_thread(decode_base64, image.data or "")
        except ValueError as error:
            raise InvalidRequest(f"image.data: {error}.") from error


@asynccontextmanager
async def counted(route: str, images: int = 1) -> AsyncIterator[None]:
    """Count images by the outcome of what happens inside."""
    outcome = "ok"
    try:
        yield
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    except Exception as error:
        outcome = error.code if isinstance(error, PanoptesError) else PanoptesError.code
        raise
    finally:
        images_total().inc(images, tags={"route": route, "outcome": outcome})


async def gather_bounded(
    items: Iterable[Item], work: Callable[[Item], Coroutine[Any, Any, Value]], limit: int
) -> list[Value]:
    """Await `work` of every item, at most `limit` at once; the first error cancels the rest and is raised."""
    slots = asyncio.Semaphore(limit)

    async def one(item: Item) -> Value:
        async with slots:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]


def stack(images: Iterable[Decoded]) -> Pixels:
    """(n, size, size, 3) from n images."""
    return np.stack([image.pixels for image in images])


def services_of(request: Request) -> Services:
    """The services of the replica that answers this request."""
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(services_of)]
