"""The ingress deployment: answers HTTP requests by calls of the other deployments. `make_api` makes its FastAPI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from ray import serve

from configs.settings import Settings
from deployments.runtime.spec import Deployed
from serve_app.clients.models import Models
from serve_app.http import errors
from serve_app.http.bodies import BodyMiddleware
from serve_app.http.described import describe_middleware
from serve_app.http.methods import MethodMiddleware
from serve_app.http.middleware import DeadlineMiddleware, RequestMiddleware
from serve_app.http.origins import OriginMiddleware
from serve_app.http.security import (
    DOCS_FOLDER,
    ApiKeyMiddleware,
    ConcurrencyMiddleware,
    RateLimiter,
    RateLimitMiddleware,
    WrongKeys,
)
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoder
from serve_app.routes import analysis, catalogue, categorizer, classifier, health, home, pictures, resources, tagger
from serve_app.services import Services
from serve_app.version import VERSION

DESCRIPTION = "Image understanding: many models look at a picture side by side, behind one port."


def make_api(services: Services) -> FastAPI:
    """The HTTP application over the given services."""
    settings = services.settings
    limiter = RateLimiter(settings)

    @asynccontextmanager
    async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
        yield
        await limiter.close()
        await services.catalogue.close()

    api: FastAPI = FastAPIOffline(
        title="Panoptes", version=VERSION, description=DESCRIPTION, lifespan=lifespan,
        redoc_url=None, static_url=DOCS_FOLDER,
        redirect_slashes=False,  # the redirect would lead to whatever host the client named
        telemetry={"tracing": False},  # Serve makes the request's span; FastAPI would start a second trace
    )  # fmt: skip
    api.state.services = services
    for room in (home, health, classifier, categorizer, analysis, tagger, catalogue, resources, pictures):
        api.include_router(room.router)
    describe_middleware(api)
    errors.install(api)
    # The last one added is the outermost. A request passes method, host and origin, ids, key, rate limit, concurrency,
    # body size and deadline.
    by_route = {"/video": settings.video.timeout_s, "/process": settings.tagging.timeout_s}
    api.add_middleware(DeadlineMiddleware, seconds=settings.ingress.request_timeout_s, by_route=by_route)
    api.add_middleware(BodyMiddleware, settings=settings)
    api.add_middleware(ConcurrencyMiddleware, most=settings.ingress.max_concurrent_requests)
    if settings.rate_limit.enabled:
        api.add_middleware(RateLimitMiddleware, limiter=limiter)
    key = settings.security.api_key.get_secret_value()
    api.add_middleware(ApiKeyMiddleware, key=key, wrong=WrongKeys(settings))
    api.add_middleware(RequestMiddleware)
    api.add_middleware(OriginMiddleware, settings=settings)
    api.add_middleware(MethodMiddleware)
    return api


@serve.deployment
@serve.ingress()
class Ingress:
    """One replica of the ingress. `deployed` holds the enabled deployments by name."""

    def __init__(self, settings: Settings, deployed: dict[str, Deployed]) -> None:
        self._services = Services(
            settings=settings,
            models=Models(deployed),
            decoder=Decoder(settings.ingress.decode_threads, settings.limits.max_pixels),
            fetcher=Fetcher(
                allow_private=settings.fetch.allow_private,
                max_bytes=settings.fetch.max_bytes,
                timeout_s=settings.fetch.timeout_s,
            ),
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return make_api(self._services)

    async def check_health(self) -> None:
        """Learn which models have been loaded: asked for the first time under load, /readyz could not tell."""
        await self._services.models.starting()
