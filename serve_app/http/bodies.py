"""ASGI middleware that bounds the bodies of requests: each by its route's limit, and all of a replica together."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.settings import MEGABYTE, Settings
from serve_app.http.errors import Overloaded, PanoptesError, TooLarge, UnsupportedMediaType, render, route_path

# Routes whose bodies hold many images or vectors. Elsewhere a body holds one image, in a form or in base64.
LARGE_ROUTES = frozenset({"/categorize", "/image", "/video", "/v1/cluster"})
BATCH_ROUTES = frozenset({"/v1/analyze/batch", "/process"})
FORM_OVERHEAD = MEGABYTE
RETRY_AFTER_S = 5
MOST_DIGITS = 20  # of a Content-Length that are read; a longer one is over every limit


class BodyMiddleware:
    """Refuses a body before it is read, or while it arrives if it has no Content-Length.

    The answer is 415 for a compressed body, 413 for one over the limit of its route, and 503 if all bodies of this
    replica would take more than MAX_BODIES_MB. A body counts from its arrival until the request is answered.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        limits = settings.limits
        self._app = app
        self._many = limits.max_request_bytes + FORM_OVERHEAD
        self._batch = limits.max_batch_bytes
        # Base64 encodes three bytes as four.
        self._one_json = limits.max_image_bytes * 4 // 3 + FORM_OVERHEAD
        self._one_form = limits.max_image_bytes + FORM_OVERHEAD
        self._all, self._held = limits.max_bodies_bytes + FORM_OVERHEAD, 0

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
        limit, received = self._limit(scope, headers), 0
        try:
            _check_encoding(headers)
            announced = headers.get("content-length", "0")
            self._check(int(announced[:MOST_DIGITS]) if announced.isdecimal() else 0, limit)
        except PanoptesError as error:
            await render(error, scope)(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._held += size
            self._check(received, limit, held=received)
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= received

    def _check(self, size: int, limit: int, held: int = 0) -> None:
        """Raise TooLarge or Overloaded for a body of this size, of which so much is held already."""
        if size > limit:
            raise TooLarge(f"The request is larger than {limit / MEGABYTE:.0f} MB: send less at once.")
        if self._held - held + size > self._all:
            raise Overloaded("Other uploads take all the room for bodies here: try again.", retry_after_s=RETRY_AFTER_S)


def _check_encoding(headers: Headers) -> None:
    encoding = ", ".join(headers.getlist("content-encoding")).strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedMediaType(
            f"The body is compressed (Content-Encoding: {encoding[:100]}): send it as it is, without Content-Encoding."
        )
