"""Clients that keep asking whatever happens to the server, and what became of every request."""

import base64
import json
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count, pairwise
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from testbed import load, photos

PAUSE_S = 0.1  # before a client whose request failed asks again
WINDOW_S = 5.0  # over which throughput is measured
PROBES = ("/livez", "/readyz", "/health", "/v1/models")


@dataclass(frozen=True)
class Request:
    """A request."""

    path: str
    body: bytes = b""
    content_type: str = ""
    method: str = "POST"


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        sent, ended: times of `time.perf_counter`.
        status: the HTTP status; 0 where no answer came.
        error: the name of the exception where no answer came.
        retry_after: whether the answer had this header.
    """

    path: str
    sent: float
    ended: float
    status: int
    error: str = ""
    retry_after: bool = False

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def seconds(self) -> float:
        return self.ended - self.sent


@dataclass(frozen=True)
class Answers:
    """What became of many requests."""

    all: Sequence[Answer] = field(default_factory=list)

    def between(self, start: float, end: float) -> "Answers":
        """The answers that ended in this period."""
        return Answers([answer for answer in self.all if start <= answer.ended < end])

    def throughput(self, start: float, end: float) -> float:
        """Good answers per second in this period."""
        return sum(answer.ok for answer in self.between(start, end).all) / (end - start)

    def failed(self) -> Counter[str]:
        """The number of failed requests by status or exception."""
        return Counter(answer.error or str(answer.status) for answer in self.all if not answer.ok)

    def longest_gap(self, start: float, end: float) -> float:
        """The longest time in seconds within this period without a good answer to anybody."""
        times = [start, *sorted(answer.ended for answer in self.between(start, end).all if answer.ok), end]
        return max(after - before for before, after in pairwise(times))

    def recovery(self, fault: float, end: float, wanted: float) -> float | None:
        """Seconds from a fault until the throughput, after its deepest dip, is `wanted` good answers/s again.

        0 where it never fell below that; None where it did not come back.
        """
        steps = [fault + WINDOW_S / 10 * step for step in range(int((end - fault - WINDOW_S) / (WINDOW_S / 10)) + 1)]
        times = sorted(answer.ended for answer in self.all if answer.ok)
        rates = [(bisect_left(times, start + WINDOW_S) - bisect_left(times, start)) / WINDOW_S for start in steps]
        if not rates:
            return None
        if min(rates) >= wanted:
            return 0.0
        dip = rates.index(min(rates))
        back = next((start for start, rate in zip(steps[dip:], rates[dip:], strict=True) if rate >= wanted), None)
        return None if back is None else back - fault


class Traffic:
    """Clients that each send the next request when the last is answered; use as a context manager."""

    def __init__(self, url: str, requests: Sequence[Request], clients: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self._requests, self._turn = requests, count()
        self._answers: list[Answer] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the clients and wait for the answers that are still under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> Answers:
        """The answers so far."""
        return Answers(list(self._answers))

    def _client(self) -> None:
        connection = HTTPConnection(self._host, self._port, timeout=load.TIMEOUT)
        while not self._stopped.is_set():
            answer = ask(connection, self._requests[next(self._turn) % len(self._requests)])
            self._answers.append(answer)
            if not answer.ok:
                self._stopped.wait(PAUSE_S)
        connection.close()


def ask(connection: HTTPConnection, request: Request) -> Answer:
    """Send a request over a connection, which is opened again if it was closed."""
    sent = time.perf_counter()
    try:
        headers = {"Content-Type": request.content_type} if request.content_type else {}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return Answer(request.path, sent, time.perf_counter(), 0, type(error).__name__)
    retry_after = response.getheader("Retry-After") is not None
    return Answer(request.path, sent, time.perf_counter(), response.status, "", retry_after)


def classified(photo: photos.Photo) -> Request:
    """A request to /classify with a photo."""
    content_type = f"multipart/form-data; boundary={load.BOUNDARY}"
    return Request("/classify", load.multipart(photo.name, photo.data), content_type)


def probed(requests: Iterable[Request]) -> list[Request]:
    """Requests with one to each of PROBES behind each three of them."""
    asked: list[Request] = []
    for number, request in enumerate(requests):
        asked.append(request)
        asked += [Request(path, method="GET") for path in PROBES] if number % 3 == 2 else []
    return asked


def mixed(shown: Iterable[photos.Photo]) -> list[Request]:
    """Requests that classify, tag and embed each photo in turn."""
    requests: list[Request] = []
    for photo in shown:
        image = base64.b64encode(photo.data).decode()
        embedding = {"model": "clip", "input": f"data:image/jpeg;base64,{image}", "modality": "image"}
        requests += [
            classified(photo),
            Request("/v1/tags", load.analysis(photo.data, ""), "application/json"),
            Request("/v1/embeddings", json.dumps(embedding).encode(), "application/json"),
        ]
    return requests
