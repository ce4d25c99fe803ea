"""ASGI middleware that refuses requests before their body is read: API key, rate limit, requests under way."""

import hmac
import ipaddress
import logging
import math
import os
import time
from collections.abc import Iterable

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.settings import Settings
from configs.types import Network
from serve_app.http.errors import (
    Overloaded,
    PanoptesError,
    RateLimited,
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

# GET routes that ask a model.
INFERENCE_BY_GET = frozenset({"/api/images/search"})


def is_work(scope: Scope) -> bool:
    """Whether a request uploads something or asks a model, and therefore counts against the limits."""
    if scope["type"] != "http":
        return False
    return scope["method"] == "POST" or (scope["method"] == "GET" and route_path(scope) in INFERENCE_BY_GET)


def client_address(scope: Scope, trusted: Iterable[Network]) -> str:
    """The client's IP address: the peer, or if that is trusted, the last untrusted address of X-Forwarded-For."""
    peer = scope["client"][0] if scope.get("client") else ""
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    chain = [part.strip() for part in forwarded.split(",") if part.strip()]
    for hop in [*reversed([*chain, peer])]:
        peer = hop
        if not in_networks(hop, trusted):
            break
    return peer


def ip_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address in a text, which may also carry a port; IPv4 mapped into IPv6 is IPv4. None if there is none."""
    host = address[1:].partition("]")[0] if address.startswith("[") else address
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def counted_as(address: str) -> str:
    """What requests are counted under: the IPv4 address of a client, or the IPv6 /64, which it has alone."""
    ip = ip_of(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(ip), 64), strict=False))
    return address if ip is None else str(ip)


def in_networks(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of these networks; False for a text that is not an address."""
    ip = ip_of(address)
    return ip is not None and any(ip in network for network in networks)


def presented_key(headers: Headers) -> str:
    """The API key of a request: `X-Api-Key`, or the token of `Authorization: Bearer`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


class WrongKeys:
    """Counts the requests without the right API key by client address, so that nobody can try many keys.

    An address that has sent too many in a minute is refused with any key: otherwise its right guess would be answered.
    """

    def __init__(self, settings: Settings) -> None:
        self._limiter, self._limit = MovingWindowRateLimiter(MemoryStorage()), None
        if settings.rate_limit.enabled:
            self._limit = RateLimitItemPerMinute(settings.rate_limit.wrong_keys)
        self._trusted = settings.security.trusted_networks
        # HAProxy does not pass on addresses: nobody may lock out everybody.
        self._addresses_known = os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1"

    async def check(self, scope: Scope, *, right: bool) -> None:
        """Raise Unauthorized for a wrong key, and RateLimited where its address has sent too many."""
        client = counted_as(client_address(scope, self._trusted))
        if self._limit and (self._addresses_known or not right):
            admitted = self._limiter.test if right else self._limiter.hit
            if not await admitted(self._limit, "keys", client):
                reset = (await self._limiter.get_window_stats(self._limit, "keys", client)).reset_time
                raise _too_many("Too many requests without the right API key", reset)
        if not right:
            raise Unauthorized("Send the API key as `X-Api-Key: …` or `Authorization: Bearer …`.")


class ApiKeyMiddleware:
    """Answers 401 if the API key is missing or wrong, on all routes that are not public."""

    def __init__(self, app: ASGIApp, key: str, wrong: WrongKeys) -> None:
        self._app, self._key, self._wrong = app, key.encode(), wrong

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._key or route_path(scope) in PUBLIC_ROUTES:
            await self._app(scope, receive, send)
            return
        right = hmac.compare_digest(presented_key(Headers(scope=scope)).encode(), self._key)
        try:
            await self._wrong.check(scope, right=right)
        except PanoptesError as error:
            await render(error, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _too_many(what: str, reset: float) -> RateLimited:
    wait_s = max(1, math.ceil(reset - time.time()))
    return RateLimited(f"{what}: try again in {wait_s} s.", retry_after_s=wait_s)


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
        self._trusted = settings.security.trusted_networks
        self._keyed = bool(settings.security.api_key.get_secret_value())

    async def admit(self, scope: Scope) -> None:
        """Count this request.

        Raises:
            RateLimited: the client must wait first.
            Unavailable: Redis does not answer.
        """
        # If there is an API key, all requests that get here carry the same one.
        client = "key" if self._keyed else counted_as(client_address(scope, self._trusted))
        try:
            for limit in self._limits:
                if not await self._limiter.hit(limit, "panoptes", client):
                    reset = (await self._limiter.get_window_stats(limit, "panoptes", client)).reset_time
                    raise _too_many("Too many requests", reset)
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
