"""What Serve's HTTP servers run around it: in its proxies, and behind HAProxy in the replicas of the ingress.

RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names `middlewares` here, in serve_config.yaml and cluster.yaml.
"""

import asyncio
import logging
import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import config as uvicorn_config

from configs.settings import MEGABYTE
from serve_app.http import paths
from serve_app.http.errors import (
    Overloaded,
    PanoptesError,
    Unavailable,
    UploadTimeout,
    internal_error,
    no_such_path,
    render,
)
from serve_app.http.middleware import REQUEST_ID

logger = logging.getLogger("ray.serve")

FREE_BYTES, BYTES_A_SECOND = 16 * MEGABYTE, 120 * MEGABYTE
# With these statuses Serve answers in plain text itself.
SERVES_OWN_STATUSES = frozenset({404, 408, 429, 500, 503})
# By these headers a client could switch off Serve's deadline, or break Serve with a value that is not UTF-8.
SERVES_OWN_HEADERS = frozenset(
    {"x_request_timeout_seconds", "x_request_disconnect_disabled", "serve_multiplexed_model_id", "x_session_id"}
)


def middlewares() -> list[Middleware]:
    """Bound the connections of this process's HTTP server, which Serve starts next, and guard its requests."""
    paths.register()
    uvicorn_config.HTTP_PROTOCOLS["auto"] = "serve_app.http.connections:Connection"
    return [Middleware(ProxyGuard)]


class ProxyGuard:
    """The outermost layer: takes out headers that Serve cannot read, paces bodies, and rewords Serve's errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = [*_readable(scope["headers"]), (b"x-request-id", identity := _identity(scope))]
        answer = _Answer(scope, receive, send, identity.decode())
        try:
            await self._app(scope, PacedBody(receive), answer.send)
        except Exception:
            logger.exception("Serve failed on request %s", identity.decode())
            if answer.started:
                raise
        if not answer.started:
            await answer.refuse(500)


class PacedBody:
    """Receives a body: its first FREE_BYTES at once, the rest at BYTES_A_SECOND, about what a gigabit network brings.

    Serve hands on whatever has arrived, and without a bound. From a client on a faster network the ingress would get
    hundreds of megabytes before it has parsed the first.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._started, self._received = time.monotonic(), 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        due_s = (self._received - FREE_BYTES) / BYTES_A_SECOND
        await asyncio.sleep(max(0.0, self._started + due_s - time.monotonic()))
        return message


def _readable(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    def name(raw: bytes) -> str:
        return raw.decode("latin-1").replace("-", "_")

    return [(raw, value) for raw, value in headers if name(raw) not in SERVES_OWN_HEADERS | {"x_request_id"}]


def _identity(scope: Scope) -> bytes:
    """The client's request id if it is printable ASCII of at most 128 characters, else a new one."""
    given = [value for name, value in scope["headers"] if name == b"x-request-id"]
    is_id = len(given) == 1 and REQUEST_ID.fullmatch(given[0].decode("latin-1"))
    return given[0] if is_id else str(uuid.uuid4()).encode()


class _Answer:
    """Passes an answer on, except errors in plain text: those are Serve's own."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        self._scope, self._receive, self._send, self._identity = scope, receive, send, identity
        self.started = self._replaced = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            if message["status"] in SERVES_OWN_STATUSES and headers.get("content-type", "").startswith("text/plain"):
                self._replaced = True
                await self.refuse(message["status"], headers.get("retry-after"))
                return
        self.started = True
        if not self._replaced:
            await self._send(message)

    async def refuse(self, status: int, retry_after: str | None = None) -> None:
        self.started = True

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = self._identity
            await self._send(message)

        wait_s = int(retry_after) if retry_after else None
        error = no_such_path(self._scope) if status == 404 else _of(status, self._identity, wait_s)
        await render(error, self._scope)(self._scope, self._receive, identified)


def _of(status: int, identity: str, wait_s: int | None) -> PanoptesError:
    """The error that says what Serve's own answer of this status means."""
    if status == 408:
        return UploadTimeout("No answer within the time that Serve allows: send less at once, or try again.")
    if status in {429, 503}:
        # Serve sets Retry-After where a queue is full; otherwise no replica answers.
        what = Unavailable if wait_s is None else Overloaded
        return what("The service cannot take this request now: try again.", retry_after_s=wait_s or 5)
    return internal_error(identity)
