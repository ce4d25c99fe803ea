"""Clients that go on asking whatever happens to the server, and what became of every request."""

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

PAUSE_S = 0.1  # of a client that was not let in, before it asks again
WINDOW_S = 5.0  # over which a throughput is taken


@dataclass(frozen=True)
class Request:
    """What a client sends."""

    path: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Answer:
    """What became of one request; `status` is 0 where none came, and `error` says why. Seconds of `perf_counter`."""

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
    """What became of many requests, by the time at which they ended."""

    all: Sequence[Answer] = field(default_factory=list)

    def between(self, start: float, end: float) -> "Answers":
        """Those that ended then."""
        return Answers([answer for answer in self.all if start <= answer.ended < end])

    def throughput(self, start: float, end: float) -> float:
        """Good answers a second."""
        return sum(answer.ok for answer in self.between(start, end).all) / (end - start)

    def failed(self) -> Counter[str]:
        """By status or exception."""
        return Counter(answer.error or str(answer.status) for answer in self.all if not answer.ok)

    def longest_gap(self, start: float, end: float) -> float:
        """The longest time, in seconds, without a good answer to anybody."""
        times = [start, *sorted(answer.ended for answer in self.between(start, end).all if answer.ok), end]
        return max(after - before for before, after in pairwise(times))

    def recovery(self, fault: float, end: float, wanted: float) -> float | None:
        """Seconds from a fault until so many good answers a second are there again, after the deepest dip.

        0 where they never were fewer; None where they did not come back.
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
        """Wait for what is under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> Answers:
        """Those of this moment."""
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
    """Send a request over a connection, which is opened anew where it was lost."""
    sent = time.perf_counter()
    try:
        connection.request("POST", request.path, request.body, {"Content-Type": request.content_type})
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return Answer(request.path, sent, time.perf_counter(), 0, type(error).__name__)
    retry_after = response.getheader("Retry-After") is not None
    return Answer(request.path, sent, time.perf_counter(), response.status, "", retry_after)


def classified(photo: photos.Photo) -> Request:
    """A photo for /classify."""
    content_type = f"multipart/form-data; boundary={load.BOUNDARY}"
    return Request("/classify", load.multipart(photo.name, photo.data), content_type)


def mixed(shown: Iterable[photos.Photo]) -> list[Request]:
    """Each photo classified, tagged and embedded, in turns."""
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
