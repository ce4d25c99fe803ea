"""Hostile bodies: what one client's largest and oddest bodies cost another client and the ingress.

While each body is sent and answered, another client asks /health-check all the time.
"""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import psutil

from benchmarks.reliability.mutations import FORM, JSON, Part, encoded_form
from testbed.application import Application, only
from testbed.processes import free_port

ENVIRONMENT = only("blur", "clip", "tagger", "clusterer") | {"WEIGHTS": "bundled"}
PAUSE_S = 0.02  # between two questions of the other client
SETTLED_S = 1.0  # before and after each body
MOST_S = 120.0
LONGEST_MS, GROWTH_MB = 250, 300


@dataclass(frozen=True)
class Body:
    """A body that somebody sends to a route."""

    what: str
    target: str
    data: bytes
    content_type: str = JSON


@dataclass(frozen=True)
class Cost:
    """What a body cost.

    Attributes:
        status: of its answer; 0 without one.
        seconds: until its answer.
        longest_ms: the longest time in which another client's /health-check was answered meanwhile.
        failed: how many of those were not answered with 200.
        growth_mb: how much the ingress grew, at its largest, over its size before the first body.
    """

    what: str
    size_mb: float
    status: int
    seconds: float
    longest_ms: float
    failed: int
    growth_mb: float


def hostile() -> Iterator[Cost]:
    """Start an application and send it each body in turn."""
    with Application(free_port(), ENVIRONMENT) as panoptes:
        (pid,) = panoptes.replicas("Ingress")
        before = psutil.Process(pid).memory_info().rss
        for body in bodies():
            with watching(panoptes.url, pid) as seen:
                time.sleep(SETTLED_S)
                status, seconds = post(panoptes.url, body)
                time.sleep(SETTLED_S)
            growth = (seen.largest - before) / 1e6
            yield Cost(
                body.what, len(body.data) / 1e6, status, seconds, 1000 * max(seen.times), seen.failed, max(0.0, growth)
            )


def bodies() -> Iterator[Body]:
    """The bodies, each made when it is its turn: up to the limits of their routes and beyond them."""
    batch, one, embed = "/v1/analyze/batch", "/v1/tags", "/v1/embeddings"
    yield Body("300,000 numbers in place of images", batch, b'{"images":[%s]}' % _repeated(b"0", 300_000))
    unknown = b",".join(b'"k%d":0' % number for number in range(450_000))
    yield Body("450,000 unknown keys", one, b'{"image":{%s}}' % unknown)
    yield Body("450,000 unknown keys of a flag's object", batch, b'{"images":[{"url":"x",%s}]}' % unknown)
    yield Body("lists in lists, 2,000,000 deep", one, b'{"image":' + b"[" * 2_000_000)
    yield Body("one number of 20,000,000 digits", one, b'{"image":' + b"7" * 20_000_000 + b"}")
    yield Body("a text of 45 MB in escapes", batch, b'{"images":[{"data":"%s"}]}' % (b"\\u0041" * 7_500_000))
    yield Body("base64 of 45 MB that is no image", batch, b'{"images":[{"data":"%s"}]}' % (b"A" * 45_000_000))
    yield Body("4,000,000 empty objects", batch, b'{"images":[%s]}' % _repeated(b"{}", 4_000_000))
    yield Body("500,000 texts to embed", embed, b'{"input":[%s]}' % _repeated(b'"a map"', 500_000))
    yield Body("500,000 documents", "/process", b'{"documents":[%s]}' % _repeated(b'{"id":1}', 500_000))
    yield Body(
        "10,000,000 numbers to cluster", "/v1/cluster", b'{"embeddings":[[%s]]}' % _repeated(b"0.1", 10_000_000)[1:-1]
    )
    yield Body("a category file of 40 MB", "/categorize", _categories(), FORM)
    yield Body("200,000 parts in a form", "/classify", encoded_form([Part("x", b"")] * 200_000), FORM)
    yield Body(
        "a form whose header of a part has 40 MB", "/classify", encoded_form([Part("x" * 40_000_000, b"")]), FORM
    )
    yield Body("a form of 200 MB", "/categorize", encoded_form([Part("files", bytes(200_000_000), "a.png")]), FORM)


def _repeated(item: bytes, times: int) -> bytes:
    """The items of a JSON list, without its brackets."""
    return b",".join(itertools.repeat(item, times))


def _categories() -> bytes:
    names = json.dumps([f"category {number}" for number in range(2_000_000)]).encode()
    return encoded_form([Part("files", b"no image", "a.png"), Part("categories", names, "a.json")])


@dataclass
class Watch:
    """What another client and the size of a process showed; `largest` in bytes."""

    times: list[float]
    failed: int = 0
    largest: int = 0


@contextmanager
def watching(url: str, pid: int) -> Iterator[Watch]:
    """Ask /health-check and look at the size of the process `pid` until the `with` block ends."""
    seen, ended = Watch([0.0]), threading.Event()
    process = psutil.Process(pid)

    def look() -> None:
        while not ended.wait(PAUSE_S):
            seen.largest = max(seen.largest, process.memory_info().rss)

    def ask() -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=MOST_S)
        while not ended.wait(PAUSE_S):
            started = time.perf_counter()
            try:
                connection.request("GET", "/health-check")
                answer = connection.getresponse()
                answer.read()
                seen.failed += answer.status != 200
            except (OSError, HTTPException):
                connection.close()
                seen.failed += 1
            seen.times.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=work) for work in (look, ask)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def post(url: str, body: Body) -> tuple[int, float]:
    """Send a body; returns the status of its answer, 0 without one, and the seconds until then."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=MOST_S)
    started = time.perf_counter()
    try:
        # The server may refuse a body before it has read all of it: its answer is there to be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", body.target, body.data, {"Content-Type": body.content_type})
        return connection.getresponse().status, time.perf_counter() - started
    except (OSError, HTTPException):
        return 0, time.perf_counter() - started
    finally:
        connection.close()
