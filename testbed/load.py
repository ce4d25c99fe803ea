"""The load generator: N clients that each send the next photo as soon as the last one is answered.

It runs in a process of its own and takes little CPU time from the server: bodies are built beforehand, connections are
kept open, and `http.client` in threads spends well under a millisecond on a request.
"""

import argparse
import base64
import json
import math
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

from configs.project import PROJECT
from testbed import photos

TIMEOUT = 120.0  # seconds; the plain server makes 32 clients wait for half a minute
BOUNDARY = "panoptes-benchmark"


@dataclass(frozen=True)
class Load:
    """What the clients saw.

    Attributes:
        answered: requests answered with 2xx.
        throughput: images/s, from the first request to the last answer.
        p50, p99: percentiles of the latency in seconds.
        errors: by HTTP status or exception.
    """

    clients: int
    answered: int
    throughput: float
    p50: float
    p99: float
    errors: dict[str, int] = field(default_factory=dict)


class Clients:
    """The clients of one measurement, each a thread."""

    def __init__(self, url: str, body: Callable[[int], bytes], content_type: str, seconds: float) -> None:
        """Nothing is sent before `run`.

        Args:
            body: gives the body of the n-th request.
            seconds: after which no more is sent; requests under way are still awaited and counted.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._body, self._headers = body, {"Content-Type": content_type}
        self._turn = count()
        self._seconds = seconds
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()

    def run(self, clients: int) -> Load:
        """Send with so many clients; returns what they saw."""
        started = time.perf_counter()
        threads = [threading.Thread(target=self._client, args=(started + self._seconds,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Over the whole time: in a window cut out of it, one batch of 32 more or less would change the figure
        throughput = len(self.latencies) / (time.perf_counter() - started)
        p50 = statistics.median(self.latencies) if self.latencies else math.nan
        return Load(clients, len(self.latencies), throughput, p50, percentile(self.latencies, 99), dict(self.errors))

    def _client(self, deadline: float) -> None:
        connection = HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        while time.perf_counter() < deadline:
            started = time.perf_counter()
            try:
                status = self._send(connection, self._body(next(self._turn)))
            except (OSError, HTTPException) as error:
                self.errors[type(error).__name__] += 1
                break  # without a server, further requests would only add errors
            if 200 <= status < 300:
                self.latencies.append(time.perf_counter() - started)
            else:
                self.errors[str(status)] += 1
        connection.close()

    def _send(self, connection: HTTPConnection, body: bytes) -> int:
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        response.read()
        return response.status


def percentile(values: list[float], percent: float) -> float:
    """The percentile by nearest rank, which is always one of the values; not a number without any."""
    if not values:
        return math.nan
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def multipart(name: str, jpeg: bytes) -> bytes:
    """The body of a form with a photo in the field `file`."""
    head = (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


def analysis(jpeg: bytes, analyzers: str) -> bytes:
    """The body of a request to /v1/analyze for these analysers, separated by commas.

    Without any analyser it is a body for the route of one model: the image alone.
    """
    asked = analyzers.split(",")
    flags = {f"run_{name}": name in asked for name in ("blur", "quality", "emotion", "embedding")} if analyzers else {}
    return json.dumps({"image": {"data": base64.b64encode(jpeg).decode()}, **flags}).encode()


def measure(url: str, clients: int, seconds: float, analyzers: str | None = None, *, distinct: bool = False) -> Load:
    """Run the load in a process of its own.

    Args:
        analyzers: if given, the bodies are those of `analysis` for them; None: forms.
        distinct: every form differs, so that a server which recognises files gains nothing.

    Raises:
        RuntimeError: a request was not answered with 2xx, so that the figures would mean nothing.
    """
    command = [sys.executable, "-m", "testbed.load", url, f"--clients={clients}", f"--seconds={seconds}"]
    if analyzers is not None:
        command.append(f"--analyzers={analyzers}")
    if distinct:
        command.append("--distinct")
    done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
    load = Load(**json.loads(done.stdout))
    if load.errors or not load.answered:
        raise RuntimeError(f"{url}, {clients} clients: {load.answered} answered, errors: {load.errors}")
    return load


def main() -> None:
    """Run the load and print what the clients saw as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--analyzers", help="send JSON instead of forms, for these analysers: blur,quality,… or none")
    parser.add_argument("--distinct", action="store_true", help="every form holds different bytes")
    options = parser.parse_args()
    shown = photos.load()
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    if options.analyzers is not None:
        bodies = [analysis(photo.data, options.analyzers) for photo in shown]
        content_type = "application/json"
    else:
        bodies = [multipart(photo.name, photo.data) for photo in shown]

    def body(turn: int) -> bytes:
        if not options.distinct:
            return bodies[turn % len(bodies)]
        photo = shown[turn % len(shown)]
        return multipart(photo.name, photo.data + b"%d" % turn)  # behind the picture's end, which decoders ignore

    print(json.dumps(asdict(Clients(options.url, body, content_type, options.seconds).run(options.clients))))


if __name__ == "__main__":
    main()
