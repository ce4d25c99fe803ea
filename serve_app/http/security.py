"""ASGI middleware that refuses requests early: API key, rate limit, size of the body, requests under way.

Only the size of a body without a Content-Length is checked while it arrives; the rest is checked before it is read.
"""

import hmac
import ipaddress
import logging
import math
import time
from collections.abc import Iterable

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.settings import MEGABYTE, Settings
from serve_app.http.errors import (
    Overloaded,
    PanoptesError,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    render,
    route_path,
)
from serve_app.page.pages import ASSET_ROUTES

logger = logging.getLogger("ray.serve.panoptes.security")

# The files that /docs loads.
DOCS_FOLDER = "/docs-files"
DOCS_FILES = frozenset(f"{DOCS_FOLDER}/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"))
PUBLIC_ROUTES = ASSET_ROUTES | DOCS_FILES | {
    "/", "/docs", "/docs/oauth2-redirect", "/openapi.json",
    "/livez", "/readyz", "/health", "/v1/health", "/health-check", "/test",
}  # fmt: skip

# Routes whose bodies hold many images or vectors. Elsewhere a body holds one image, in a form or in base64.
LARGE_ROUTES = frozenset({"/categorize", "/image", "/video", "/v1/cluster"})
BATCH_ROUTES = frozenset({"/v1/analyze/batch", "/process"})
FORM_OVERHEAD = MEGABYTE

# GET routes that ask a model.
INFERENCE_BY_GET = frozenset({"/api/images/search"})


def is_work(scope: Scope) -> bool:
    """Whether a request uploads something or asks a model, and therefore counts against the limits."""
    if scope["type"] != "http":
        return False
    return scope["method"] == "POST" or (scope["method"] == "GET" and route_path(scope) in INFERENCE_BY_GET)


def client_address(scope: Scope, trusted: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """The client's IP address: the peer, or if that is trusted, the last untrusted address of X-Forwarded-For."""
    peer = scope["client"][0] if scope.get("client") else ""
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    for hop in [*reversed([*chain, peer])]:
        peer = hop
        if not in_networks(hop, trusted):
            break
    return peer


def in_networks(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an address lies in one of these networks; False for a text that is not an address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)


def presented_key(headers: Headers) -> str:
    """The API key of a request: `X-Api-Key`, or the token of `Authorization: Bearer`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


class ApiKeyMiddleware:
    """Answers 401 if the API key is missing or wrong, on all routes that are not public."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._key or route_path(scope) in PUBLIC_ROUTES:
            await self._app(scope, receive, send)
            return
        if not hmac.compare_digest(presented_key(Headers(scope=scope)).encode(), self._key):
            error = Unauthorized("Send the API key as `X-Api-Key: …` or `Authorization: Bearer …`.")
            await render(error, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class RateLimiter:
    """Admits RATE_LIMIT_PER_MINUTE requests in any minute and RATE_LIMIT_BURST in any second, per key or IP address.

    In memory, each replica counts its own requests; with Redis, the count is exact across replicas.
    """

    def __init__(self, settings: Settings) -> None:
        url = settings.rate_limit.redis_url.get_secret_value()
        self._pool = ConnectionPool.from_url(url, socket_timeout=2, socket_connect_timeout=2) if url else None
        self._limiter = MovingWindowRateLimiter(
            RedisStorage(
                f"async+{url}",
                implementation="redispy",
                connection_pool=self._pool,  # type: ignore[arg-type] # limits passes it on to redis unchanged
                wrap_exceptions=True,
            )
            if url
            else MemoryStorage()
        )
        self._limits = (
            RateLimitItemPerSecond(settings.rate_limit.burst),
            RateLimitItemPerMinute(settings.rate_limit.per_minute),
        )
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in settings.security.trusted_proxies]
        self._keyed = bool(settings.security.api_key.get_secret_value())

    async def admit(self, scope: Scope) -> None:
        """Count this request.

        Raises:
            RateLimited: the client must wait first.
            Unavailable: Redis does not answer.
        """
        # If there is an API key, all requests that get here carry the same one.
        client = "key" if self._keyed else client_address(scope, self._trusted)
        try:
            for limit in self._limits:
                if not await self._limiter.hit(limit, "panoptes", client):
                    reset = (await self._limiter.get_window_stats(limit, "panoptes", client)).reset_time
                    wait_s = max(1, math.ceil(reset - time.time()))
                    raise RateLimited(f"Too many requests: try again in {wait_s} s.", retry_after_s=wait_s)
        except StorageError as error:
            logger.error("The rate limit cannot be counted: %s", type(error.storage_error).__name__)
            raise Unavailable("The rate limiter's store does not answer: try again.", retry_after_s=5) from error

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()


class RateLimitMiddleware:
    """Answers 429 if a client exceeds the rate limit. Counts inference and uploads."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self._app, self._limiter = app, limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_work(scope):
            try:
                await self._limiter.admit(scope)
            except PanoptesError as error:
                await render(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class BodyLimitMiddleware:
    """Answers 413 as soon as a body exceeds the limit of its route, by its Content-Length or while it arrives."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._many = settings.limits.max_request_bytes + FORM_OVERHEAD
        # Smaller, because the JSON of a batch is parsed in one piece on the event loop: half a second for 50 MB.
        self._batch = settings.limits.max_batch_bytes
        # Base64 encodes three bytes as four.
        self._one_json = settings.limits.max_image_bytes * 4 // 3 + FORM_OVERHEAD
        self._one_form = settings.limits.max_image_bytes + FORM_OVERHEAD

    def _limit(self, scope: Scope, headers: Headers) -> int:
        if route_path(scope) in LARGE_ROUTES:
            return self._many
        if route_path(scope) in BATCH_ROUTES:
            return self._batch
        return self._one_form if headers.get("content-type", "").startswith("multipart/") else self._one_json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope, headers)
        error = TooLarge(f"The request is larger than {limit / MEGABYTE:g} MB: send less at once.")
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            await render(error, scope)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise error
            return message

        await self._app(scope, counted, send)


class ConcurrencyMiddleware:
    """Answers 503 if MAX_CONCURRENT_REQUESTS are under way, because Serve's own answer to overload is plain text."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_work(scope):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            error = Overloaded("Too many requests are under way: try again.", retry_after_s=1)
            await render(error, scope)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
