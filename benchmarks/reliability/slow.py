"""Slow clients: how long they keep a connection, and what others notice of many of them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from testbed.application import Application, only
from testbed.hostile.bodies import Witness
from testbed.processes import free_port

ENVIRONMENT = only("blur") | {"WEIGHTS": "bundled", "REQUEST_TIMEOUT_S": "20", "ANALYZER_TIMEOUT_S": "15"}
CONNECTIONS = 100  # of each kind
DRIP_S = 2.0
MOST_S = 90.0

START = b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
ANNOUNCED = START + b"Content-Length: 1000000\r\n\r\n{"


@dataclass(frozen=True)
class Kept:
    """How long connections stayed open.

    Attributes:
        closed: how many the server closed within MOST_S.
        longest_s: the longest that one stayed open, at most MOST_S.
        answers: the first lines of their answers.
        other_ms: the longest time in which another client's /health-check was answered meanwhile.
    """

    what: str
    closed: int
    longest_s: float
    answers: frozenset[str]
    other_ms: float


def slow() -> Iterator[Kept]:
    """Start an application and keep many connections of each kind to it."""
    port = free_port()
    with Application(port, ENVIRONMENT) as panoptes:
        (pid,) = panoptes.replicas("Ingress")
        for what, (first, drip) in KINDS.items():
            with Witness("127.0.0.1", port, pid) as others:
                held = _hold(panoptes.url, first, drip)
            lines = frozenset(line for _, _, line in held if line)
            yield Kept(
                what,
                sum(closed for closed, _, _ in held),
                max(one for _, one, _ in held),
                lines,
                1000 * others.slowest_s,
            )


KINDS: dict[str, tuple[bytes, bytes]] = {
    "connected, and silent": (b"", b""),
    "a header every 2 s": (START, b"X-Slow: 1\r\n"),
    "a header begun, and silent": (START, b""),
    "a body of 1 MB announced, and silent": (ANNOUNCED, b""),
    "a byte of a body every 2 s": (ANNOUNCED, b" "),
    "answered, and idle": (b"GET /health-check HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
}


def _hold(url: str, first: bytes, drip: bytes) -> list[tuple[bool, float, str]]:
    """Open CONNECTIONS; for each: whether the server closed it, its seconds, and the first line of its answer."""
    found: list[tuple[bool, float, str]] = []
    threads = [threading.Thread(target=_collected(found, url, first, drip)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _collected(found: list[tuple[bool, float, str]], url: str, first: bytes, drip: bytes) -> Callable[[], None]:
    return lambda: found.append(keep(url, first, drip))


def keep(url: str, first: bytes, drip: bytes) -> tuple[bool, float, str]:
    """Keep one connection as long as the server does, at most MOST_S; as `_hold` says of each."""
    parts = urlsplit(url)
    started, answer = time.perf_counter(), b""
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=DRIP_S) as connection:
        try:
            connection.sendall(first)
            while time.perf_counter() - started < MOST_S:
                try:
                    received = connection.recv(65_536)
                except TimeoutError:
                    connection.sendall(drip)
                    continue
                if not received:
                    break
                answer += received
            else:
                return False, MOST_S, _first_line(answer)
        except OSError:
            pass  # reset by the server, which is a way to close
    return True, time.perf_counter() - started, _first_line(answer)


def _first_line(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode("latin-1")
