"""Middleware around every request: its id, its deadline, its weights header, and a 500 for unexpected errors."""

import asyncio
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.http.errors import DeadlineExceeded, PanoptesError, UploadTimeout, internal_error, render, route_path
from serve_app.http.metrics import cancelled_total

# What is taken for an id: printable ASCII.
REQUEST_ID = re.compile(r"[!-~]{1,128}")

logger = logging.getLogger("ray.serve.panoptes.requests")

# The weights that contributed to the answer of the current request, as `model=id`.
weights_used: ContextVar[set[str]] = ContextVar("weights_used")
# The deadline of the current request on the event loop's clock, and its whole time in seconds.
_deadline: ContextVar[tuple[float, float]] = ContextVar("deadline")


def until(share: float) -> float:
    """The moment when this share (0–1) of the current request's time is used up, on the event loop's clock.

    The time includes the upload.
    """
    end, seconds = _deadline.get()
    return end - (1 - share) * seconds


def request_id(scope: Scope) -> str:
    """The id that Serve gave this request: the client's X-Request-ID or a new one. Serve returns and logs it."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else "unknown"


class RequestMiddleware:
    """Around all that answers requests: the `X-Panoptes-Weights` header, and a 500 without a stack trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        used, started = set[str](), False
        weights_used.set(used)

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if used:
                    MutableHeaders(scope=message)["X-Panoptes-Weights"] = ", ".join(sorted(used))
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except asyncio.CancelledError:
            cancelled_total().inc(tags={"route": getattr(scope.get("route"), "path", "none")})
            logger.info("The client of %s %s went away", scope["method"], scope["path"])
            raise
        except Exception:
            identity = request_id(scope)
            logger.exception("%s %s failed (request %s)", scope["method"], scope["path"], identity)
            if started:
                raise
            await render(internal_error(identity), scope)(scope, receive, with_headers)


class DeadlineMiddleware:
    """Cancels a request that takes too long, with 408 while its body is still arriving and 504 afterwards."""

    def __init__(self, app: ASGIApp, seconds: float, by_route: Mapping[str, float]) -> None:
        """Allow a request the seconds of its route in `by_route`, by default `seconds`."""
        self._app, self._seconds, self._by_route = app, seconds, by_route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        uploading, started = True, False
        seconds = self._by_route.get(route_path(scope), self._seconds)

        async def watched_receive() -> Message:
            nonlocal uploading
            message = await receive()
            uploading = bool(message.get("more_body", False))
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(seconds) as deadline:
                _deadline.set((asyncio.get_running_loop().time() + seconds, seconds))
                await self._app(scope, watched_receive, watched_send)
        except TimeoutError:
            if started or not deadline.expired():
                raise
            await render(_late(uploading, seconds), scope)(scope, receive, send)


def _late(uploading: bool, seconds: float) -> PanoptesError:
    if uploading:
        return UploadTimeout(f"The request did not arrive within {seconds:g} s: send less at once.")
    return DeadlineExceeded(f"No answer within {seconds:g} s: try again, or send less at once.")
