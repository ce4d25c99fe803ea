"""What runs around Serve's proxy: ids and headers that break it, and its own errors in our form."""

import json
from typing import Any

import pytest
import uvicorn
from ray.serve._private.http_util import RequestIdMiddleware, convert_object_to_asgi_messages
from starlette.types import Message
from uvicorn.config import HTTP_PROTOCOLS

from configs.settings import MEGABYTE
from serve_app.http.connections import Connection
from serve_app.http.proxy import PacedBody, ProxyGuard, middlewares


async def ask(inner: Any, *headers: tuple[bytes, bytes]) -> tuple[int, dict[str, str], Any, dict[bytes, bytes]]:
    """The status, headers and JSON of an answer, and the headers that reached the inner application."""
    sent, seen = list[dict[str, Any]](), dict[bytes, bytes]()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope["headers"])
        assert [name for name, _ in scope["headers"]].count(b"x-request-id") == 1
        await inner(scope, receive, send)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v1/models", "root_path": "", "headers": list(headers)}
    await ProxyGuard(RequestIdMiddleware(serve))(scope, receive, send)
    given = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message["body"] for message in sent[1:])
    return sent[0]["status"], given, json.loads(body), seen


async def fine(scope: Any, receive: Any, send: Any) -> None:
    for message in convert_object_to_asgi_messages({"message": "OK"}):
        await send(message)


@pytest.mark.parametrize("identity", [b"abc-1", b"x" * 128, b"~!"])
async def test_a_usable_id_is_kept(identity: bytes) -> None:
    status, headers, _, _ = await ask(fine, (b"x-request-id", identity))
    assert (status, headers["x-request-id"]) == (200, identity.decode())


@pytest.mark.parametrize("identity", [b"", b"caf\xe9", "é".encode(), b"x" * 129, b"x" * 5000, b"a b", b"\xff\xfe"])
async def test_any_other_id_is_replaced(identity: bytes) -> None:
    status, headers, _, seen = await ask(fine, (b"x-request-id", identity))
    assert (status, len(headers["x-request-id"])) == (200, 36)
    assert seen[b"x-request-id"].decode() == headers["x-request-id"]


async def test_of_two_ids_none_is_believed() -> None:
    _, headers, _, _ = await ask(fine, (b"x-request-id", b"one"), (b"x-request-id", b"two"))
    assert len(headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    "name", ["x-request-timeout-seconds", "x-request-disconnect-disabled", "serve-multiplexed-model-id", "x_session_id"]
)
async def test_a_client_cannot_steer_serve(name: str) -> None:
    _, _, _, seen = await ask(fine, (name.encode(), b"\xe9"), (b"accept", b"*/*"))
    assert name.encode() not in seen
    assert seen[b"accept"] == b"*/*"


@pytest.mark.parametrize(
    ("status", "retry", "code"),
    [
        (503, "1", "overloaded"),
        (429, "1", "overloaded"),
        (503, None, "unavailable"),
        (404, None, "not_found"),
        (408, None, "upload_timeout"),
        (500, None, "internal_error"),
    ],
)
async def test_serve_s_own_errors_are_json_with_an_id(status: int, retry: str | None, code: str) -> None:
    extra = [(b"retry-after", retry.encode())] if retry else None

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        for message in convert_object_to_asgi_messages("Request dropped", status, extra):
            await send(message)

    answered, headers, body, seen = await ask(plain)
    assert (answered, body["error"]) == (503 if status == 429 else status, code)
    assert headers["x-request-id"] == seen[b"x-request-id"].decode()
    assert headers.get("retry-after") == (retry or ("5" if code == "unavailable" else None))


async def test_a_failure_of_serve_itself_is_json_with_an_id() -> None:
    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "no")

    async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    for broken in (raises, says_nothing):
        status, headers, body, _ = await ask(broken)
        assert (status, body["detail"]) == (500, {"request_id": headers["x-request-id"]})


@pytest.mark.parametrize(("megabytes", "seconds"), [(15, 0.0), (76, 0.5)])
async def test_only_the_rest_of_a_large_body_is_paced(
    megabytes: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(MEGABYTE), "more_body": True}

    async def sleep(wait_s: float) -> None:
        waited.append(wait_s)

    monkeypatch.setattr("serve_app.http.proxy.time.monotonic", lambda: 7.0)
    monkeypatch.setattr("serve_app.http.proxy.asyncio.sleep", sleep)
    paced = PacedBody(receive)
    for _ in range(megabytes):
        await paced()
    assert max(waited) == pytest.approx(seconds)


def test_serve_gets_both_parts_from_one_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
    (guard,) = middlewares()
    assert "ProxyGuard" in repr(guard)
    config = uvicorn.Config(fine)
    config.load()
    assert config.http_protocol_class is Connection
