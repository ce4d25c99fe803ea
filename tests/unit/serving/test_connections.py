"""Clients that are slow or send what is not HTTP: their connections end, and what can be answered is answered in JSON."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from serve_app.http import connections
from serve_app.http.connections import HEAD_BYTES, Connection

HOST = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
SOON = 0.4
PATIENCE_S = 20


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once and does not read the body."""
    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server with short times, as Serve starts one."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(connections, "GRACE_SECONDS", 0.1)
    config = uvicorn.Config(refuses, port=0, http=Connection, lifespan="off", log_config=None, timeout_keep_alive=5)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


async def talk(port: int, *pieces: bytes, drip: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send pieces, then `drip` again and again, until the server closes; the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def dripping() -> None:
        while drip:
            writer.write(drip)
            await asyncio.sleep(0.05)

    for piece in pieces:
        writer.write(piece)
    task = asyncio.create_task(dripping())
    received = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while chunk := await reader.read(65536):
                received += chunk
    except ConnectionResetError:  # what was still on its way is refused
        pass
    finally:
        task.cancel()
        writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]) if head else 0, headers, body


async def test_a_client_that_says_nothing_is_closed(port: int) -> None:
    assert (await talk(port))[0] == 0


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nContent-Length: 5\r\nHo"])
async def test_headers_that_drip_are_408(port: int, start: bytes) -> None:
    status, headers, body = await talk(port, start, drip=b"x")
    assert (status if status else 400, headers["connection"]) in {(408, "close"), (400, "close")}
    assert json.loads(body)["error"] in {"upload_timeout", "invalid_request"}
    assert headers["x-request-id"]


async def test_empty_lines_that_drip_are_408(port: int) -> None:
    assert (await talk(port, drip=b"\r\n"))[0] == 408


async def test_the_second_request_has_the_same_time(port: int) -> None:
    status, _, rest = await talk(port, GET, b"GET / HTTP/1.1\r\nX: ", drip=b"x")
    assert (status, b" 408 " in rest) == (413, True)


@pytest.mark.parametrize("length", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
async def test_a_body_that_drips_after_its_answer_ends_the_connection(port: int, length: bytes) -> None:
    drip = b"1\r\nx\r\n" if b"chunked" in length else b"x"
    status, _, body = await talk(port, b"POST / HTTP/1.1\r\n" + HOST + length + b"\r\n\r\n", drip=drip)
    assert (status, body) == (413, b"{}")


async def test_a_body_that_arrives_after_its_answer_leaves_the_connection_open(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nab")
        assert b"413" in await asyncio.wait_for(reader.readuntil(b"{}"), PATIENCE_S)
        writer.write(b"cd")
        await asyncio.sleep(2 * SOON)
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""  # idle
    writer.close()


async def test_headers_without_end_are_431(port: int) -> None:
    line = b"X: " + b"x" * 1000 + b"\r\n"
    many = b"GET / HTTP/1.1\r\n" + HOST + line * (HEAD_BYTES // 1000 + 500)
    for head in (many, b"GET / HTTP/1.1\r\nX: " + b"x" * 600_000, b"GET /" + b"x" * 600_000):
        status, _, body = await talk(port, head)
        assert (status, json.loads(body)["error"]) == (431, "payload_too_large")


@pytest.mark.parametrize(
    "request_",
    [
        b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_in_json(port: int, request_: bytes) -> None:
    status, headers, body = await talk(port, request_)
    assert (status, headers["content-type"], headers["connection"]) == (400, "application/json", "close")
    assert json.loads(body)["error"] == "invalid_request"


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_an_upgrade_is_answered_as_a_request_and_closed(port: int, protocol: bytes) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    status, headers, _ = await talk(port, b"GET / HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
    assert (status, headers["connection"]) == (413, "close")


async def test_pipelined_requests_are_all_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET * 3)
    for _ in range(3):
        assert b"413" in await asyncio.wait_for(reader.readuntil(b"{}"), PATIENCE_S)
    writer.close()
