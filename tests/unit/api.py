"""The HTTP application over a double of CLIP, without Ray: for what happens before a model is asked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import numpy as np
from numpy.typing import NDArray

from configs.settings import Settings
from deployments.clip import ModelStatus, TextEmbeddings
from deployments.preprocessing import ImageSpec
from deployments.weights import ClipWeights
from serve_app.fetch import Fetcher
from serve_app.handles import ClipClient, ModelState
from serve_app.images import Decoder
from serve_app.ingress import make_api
from serve_app.services import Services

WEIGHTS = ClipWeights(
    "test/double", "bundled", "none", None, None, ImageSpec(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), dimensions=4
)


class ClipDouble(ClipClient):
    """Answers at once: an image is its mean colour, a text its length. `fails` is raised instead when set."""

    def __init__(self) -> None:
        super().__init__(None, WEIGHTS)
        self.fails: Exception | None = None
        self.before: Callable[[], Any] | None = None

    @property
    def enabled(self) -> bool:
        return True

    async def embed_images(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        await self._prepare()
        means = pixels.reshape(len(pixels), -1, 3).mean(axis=1) + 1
        vectors = np.concatenate([means, np.ones((len(pixels), 1))], axis=1)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        await self._prepare()
        vectors = np.array([[len(text), 1, 1, 1] for text in texts], np.float32)
        return TextEmbeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), len(texts))

    async def score(self, pixels: NDArray[np.uint8], classes: list[list[str]]) -> NDArray[np.float32]:
        await self._prepare()
        return np.tile(np.arange(len(classes), dtype=np.float32), (len(pixels), 1))

    async def state(self) -> ModelState:
        return ModelState(ModelStatus("clip", "cpu", 1.0, queue=0, items=0, batches=0), 1, None)

    async def _prepare(self) -> None:
        if self.before is not None:
            await self.before()
        if self.fails is not None:
            raise self.fails


@asynccontextmanager
async def client(clip: ClipClient | None = None, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of an application with these settings, without a rate limit unless they say so."""
    chosen = Settings.model_construct(**{"rate_limit_enabled": False, **settings})
    services = Services(
        settings=chosen,
        clip=clip or ClipDouble(),
        decoder=Decoder(1, chosen.max_pixels),
        fetcher=Fetcher(allow_private=[], max_bytes=chosen.max_fetch_bytes, timeout_s=2),
    )
    application = make_api(services)
    transport = httpx.ASGITransport(cast("Any", application))
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://panoptes") as connected,
    ):
        yield connected
