"""The objects that the routes of one ingress replica share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Depends, Request

from configs.settings import Settings
from deployments.pictures.inputs import Fitted
from deployments.pictures.pixels import Pixels
from serve_app.clients.clip import ClipClient
from serve_app.clients.models import Models
from serve_app.features.cataloguing import CatalogueDoor
from serve_app.http.errors import InvalidRequest, PanoptesError, TooLarge
from serve_app.http.metrics import images_total
from serve_app.inputs.base64_text import NotBase64, decode_base64
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoded, Decoder
from serve_app.schemas.common import ImageInput

ARRIVALS_A_PICTURE = 4
DOCUMENTS_A_PICTURE, VIDEO_DOCUMENTS = 2, 2

Item = TypeVar("Item")
Value = TypeVar("Value")


class Services:
    """Settings, decoder, fetcher, the models' clients, and limits on concurrent work.

    Attributes:
        pictures: limits decoded pictures, which are large.
        arrivals: limits image files; they are smaller, so more are admitted, and a slow fetch does not block others.
        documents, videos: limit the work of /process, so that other routes get their share of the models.
        uploads: limits uploads to the catalogue, so that a slow database or store does not block other requests.
    """

    def __init__(self, settings: Settings, models: Models, decoder: Decoder, fetcher: Fetcher) -> None:
        self.settings, self.models, self.decoder, self.fetcher = settings, models, decoder, fetcher
        self.started_at = time.time()
        most = settings.ingress.max_concurrent_pictures
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
        """Raise TooLarge for a file that is larger than an image may be."""
        if size_bytes > self.settings.limits.max_image_bytes:
            raise TooLarge(f"An image may have at most {self.settings.limits.max_image_mb:g} MB: send a smaller one.")

    async def fit_for_clip(self, data: bytes) -> Decoded:
        """Decode an image to CLIP's input; raises TooLarge, EmptyFile, InvalidImage or ImageTooLarge."""
        self.check_size(len(data))
        [image] = await self.decoder.inputs(data, Fitted(self.clip.weights.image.size))
        return image

    async def read(self, image: ImageInput) -> bytes:
        """The bytes of an image that a JSON request gives by its URL or in base64."""
        if image.url is not None:
            return await self.fetcher.get(image.url)
        try:
            return await asyncio.to_thread(decode_base64, image.data or "")
        except NotBase64 as error:
            raise InvalidRequest(f"image.data: {error}.") from error


@asynccontextmanager
async def counted(route: str, images: int = 1) -> AsyncIterator[None]:
    """Count images in the metrics by the outcome of the `with` block."""
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


InjectedServices = Annotated[Services, Depends(services_of)]
