"""What Serve itself would answer in plain text or never: odd ids, upgrades, methods, and clients that are slow."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from testbed.application import Application

HOST = b"Host: localhost\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n"
)


def ask(panoptes: Application, request: bytes, wait_s: float = 30) -> tuple[int, dict[str, str], bytes]:
    """Send bytes on a connection of its own, and return the answer when the server has closed it; 0 if it said nothing."""
    address = urlsplit(panoptes.url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=wait_s) as connection:
        connection.sendall(request)
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]) if head else 0, headers, body


@pytest.mark.parametrize("identity", [b"caf\xe9", "caf\u00e9".encode(), b"x" * 5000])
@pytest.mark.parametrize("other", [b"", b"X-Session-Id: \xe9\r\n", b"X-Request-Timeout-Seconds: \xe9\r\n"])
def test_an_id_that_serve_cannot_read_is_replaced(panoptes: Application, identity: bytes, other: bytes) -> None:
    head = b"GET /health-check HTTP/1.1\r\nConnection: close\r\n" + HOST + other + b"X-Request-ID: " + identity
    status, headers, _ = ask(panoptes, head + b"\r\n\r\n")
    assert (status, len(headers["x-request-id"])) == (200, 36)


@pytest.mark.parametrize("path", [b"/", b"/health-check", b"/nope"])
def test_a_websocket_is_a_request_like_any_other(panoptes: Application, path: bytes) -> None:
    status, headers, _ = ask(panoptes, b"GET " + path + b" HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n")
    assert (status, headers["connection"]) == (404 if path == b"/nope" else 200, "close")
    assert headers["x-request-id"]


@pytest.mark.parametrize("line", [b"BREW / HTTP/1.1", b"CONNECT example.org:443 HTTP/1.1", b"GET / HTTP/7.0"])
def test_what_is_not_http_is_400_in_json(panoptes: Application, line: bytes) -> None:
    status, headers, body = ask(panoptes, line + b"\r\n" + HOST + b"\r\n")
    assert (status, json.loads(body)["error"]) == (400, "invalid_request")
    assert headers["x-request-id"]


@pytest.mark.parametrize(("start", "expected"), [(b"", 0), (b"GET / HTTP/1.1\r\nHo", 408)])
def test_a_head_that_never_ends_is_given_up(panoptes: Application, start: bytes, expected: int) -> None:
    started = time.monotonic()
    status, _, _ = ask(panoptes, start)
    assert status == expected
    assert time.monotonic() - started > 5  # not at once
