"""Who may ask, how often, and how much: ASGI middleware that answers before the body is read."""

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

# What /docs loads.
DOCS_FOLDER = "/docs-files"
DOCS_FILES = frozenset(f"{DOCS_FOLDER}/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"))
PUBLIC_ROUTES = ASSET_ROUTES | DOCS_FILES | {
    "/", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/health", "/v1/health", "/health-check", "/test",
}  # fmt: skip

# Many images or vectors arrive on these; elsewhere a body holds one image, as it is or in base64.
LARGE_ROUTES = frozenset({"/categorize", "/image", "/video", "/v1/cluster"})
BATCH_ROUTES = frozenset({"/v1/analyze/batch", "/process"})
FORM_OVERHEAD = MEGABYTE

# A GET here asks a model, as a POST does anywhere.
INFERENCE_BY_GET = frozenset({"/api/images/search"})


def is_work(scope: Scope) -> bool:
    """Whether a request uploads something or asks a model, and so is counted; the others read or delete."""
    if scope["type"] != "http":
        return False
    return scope["method"] == "POST" or (scope["method"] == "GET" and route_path(scope) in INFERENCE_BY_GET)


def client_address(scope: Scope, trusted: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """The client's IP address: the peer's, or the last untrusted of X-Forwarded-For when the peer is trusted."""
    peer = scope["client"][0] if scope.get("client") else ""
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    for hop in [*reversed([*chain, peer])]:
        peer = hop
        if not in_networks(hop, trusted):
            break
    return peer


def in_networks(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether an address lies in one of these networks; what is no address does not."""
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
    """Answers 401 on every route that is not public when the key is missing or wrong."""

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
    """Admits RATE_LIMIT_PER_MINUTE requests in any minute and RATE_LIMIT_BURST in any second, by key or address.

    In memory each replica counts what it serves; with Redis the count is exact across replicas.
    """

    def __init__(self, settings: Settings) -> None:
        url = settings.rate_limit.redis_url.get_secret_value()
        self._pool = ConnectionPool.from_url(url, socket_timeout=2, socket_connect_timeout=2) if url else None
        self._limiter = MovingWindowRateLimiter(
            RedisStorage(
                f"async+{url}",
                implementation="redispy",
                connection_pool=self._pool,  # type: ignore[arg-type] # limits passes it on to redis as it is
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
        """Count this request; RateLimited when its client must wait first, Unavailable when nobody can count."""
        # With an API key every request that comes this far carries the same, right one.
        client = "key" if self._keyed else client_address(scope, self._trusted)
        try:
            for limit in self._limits:
                if not await self._limiter.hit(limit, "panoptes", client):
                    reset = (await self._limiter.get_window_stats(limit, "panoptes", client)).reset_time
                    wait_s = max(1, math.ceil(reset - time.time()))
                    raise RateLimited(f"Too many requests: try again in {wait_s} s.", retry_after_s=wait_s)
        except StorageError as error:
            logger.error("The rate limit cannot be counted: %s", type(error.storage_error).__name__)
            raise Unavailable("The rate limiter's store is away: try again.", retry_after_s=5) from error

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()


class RateLimitMiddleware:
    """Answers 429 when a client asks too often. Counts inference and uploads."""

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
    """Answers 413 as soon as a body passes its route's limit: by its Content-Length, or while it streams."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._many = settings.limits.max_request_bytes + FORM_OVERHEAD
        # Parsed in one piece on the event loop, half a second for 50 MB.
        self._batch = settings.limits.max_batch_bytes
        # Base64 takes four bytes for three.
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
    """Answers 503 when MAX_CONCURRENT_REQUESTS are under way: Serve's own answer to overload is plain text."""

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
