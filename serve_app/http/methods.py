"""ASGI middleware for what is the same on all routes: HEAD, the empty path, and WebSockets, of which there are none."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.http.errors import InvalidRequest, render


class MethodMiddleware:
    """Answers HEAD as GET without the body, and refuses WebSockets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            error = InvalidRequest("There is no WebSocket here: send a request; see /docs for the routes.")
            await render(error, scope)(scope, receive, send)
            return
        if scope["type"] == "http":
            if scope["path"] == scope.get("root_path", ""):
                scope = {**scope, "path": scope["path"] + "/"}
            if scope["method"] == "HEAD":
                scope, send = {**scope, "method": "GET"}, _without_body(send)
        await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sending
