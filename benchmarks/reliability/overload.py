"""Many times the capacity: how many requests are still answered, and how soon the others are refused.

Requests arrive at fixed times, whatever the server does (an open loop), as with many independent people.
"""

import json
import math
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from itertools import count
from urllib.parse import urlsplit

from benchmarks.reliability.traffic import Answer, Request, ask, classified
from configs.project import PROJECT
from testbed import load, photos
from testbed.application import Application
from testbed.processes import children_cpu_seconds, free_port

CAPACITY_CLIENTS, CAPACITY_S = 32, 20.0
OVERLOAD_S = 30.0
SETTLED_S = 10.0  # until as many requests are in flight as the server admits
SENDERS = 400  # more than can be admitted and refused at a time


@dataclass(frozen=True)
class Overload:
    """What was measured.

    Attributes:
        capacity: answers/s to clients that wait for each answer.
        offered: requests/s that were sent, whatever became of them.
        goodput: good answers/s under overload.
        refused: number of refusals by status.
        failed: number of other failures by status or exception.
        refusal_p50, refusal_p99: time until a refusal in seconds.
        late_s: the longest delay of a request behind its time.
        cpu_s: CPU seconds by deployment, Serve, Ray and the clients.
        seconds: how long requests were sent.
    """

    capacity: float
    offered: float
    goodput: float
    refused: dict[str, int]
    without_retry_after: int
    failed: dict[str, int]
    refusal_p50: float
    refusal_p99: float
    late_s: float
    cpu_s: dict[str, float]
    seconds: float


def overload(env: dict[str, str], times: float) -> Overload:
    """Measure the capacity with clients that wait for their answers, then offer `times` as much."""
    with Application(free_port(), env) as panoptes:
        url = f"{panoptes.url}/classify"
        load.measure(url, CAPACITY_CLIENTS, SETTLED_S)
        capacity = load.measure(url, CAPACITY_CLIENTS, CAPACITY_S).throughput
        before, clients_s = panoptes.cpu_seconds(), children_cpu_seconds()
        command = [sys.executable, "-m", "benchmarks.reliability.overload", panoptes.url, str(times * capacity)]
        done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
        cpu_s = {kind: spent - before.get(kind, 0) for kind, spent in panoptes.cpu_seconds().items()}
        cpu_s["the clients"] = children_cpu_seconds() - clients_s
    seen = json.loads(done.stdout)
    return summed(capacity, [Answer(**answer) for answer in seen["answers"]], seen["late_s"], cpu_s)


def summed(capacity: float, answers: list[Answer], late_s: float, cpu_s: dict[str, float]) -> Overload:
    """The figures; goodput counts from SETTLED_S on, when as many requests are in flight as the server admits."""
    start = min(answer.sent for answer in answers)
    end = start + OVERLOAD_S
    settled = [answer for answer in answers if start + SETTLED_S <= answer.ended < end]
    refused = [answer for answer in answers if answer.status in {429, 503}]
    waits = [answer.seconds for answer in refused]
    failed = Counter(answer.error or str(answer.status) for answer in answers if answer.status not in {200, 429, 503})
    return Overload(
        capacity=capacity,
        offered=sum(answer.sent < end for answer in answers) / OVERLOAD_S,
        goodput=sum(answer.ok for answer in settled) / (OVERLOAD_S - SETTLED_S),
        refused=dict(Counter(str(answer.status) for answer in refused)),
        without_retry_after=sum(not answer.retry_after for answer in refused),
        failed=dict(failed),
        refusal_p50=statistics.median(waits) if waits else math.nan,
        refusal_p99=load.percentile(waits, 99),
        late_s=late_s,
        cpu_s=cpu_s,
        seconds=OVERLOAD_S,
    )


class Arrivals:
    """Requests sent at fixed times. While all senders wait for answers, requests are late or are never sent."""

    def __init__(self, url: str, requests: list[Request], rate: float, seconds: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port
        self._requests, self._rate = requests, rate
        self._number, self._seconds = count(), seconds
        self.answers: list[Answer] = []
        self.late_s = 0.0

    def run(self) -> None:
        """Send until the time is up, and wait for the answers."""
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        self._start = time.perf_counter() + 0.5
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self) -> None:
        connection = HTTPConnection(self._host, self._port, timeout=load.TIMEOUT)
        while (due := (number := next(self._number)) / self._rate) < self._seconds:
            elapsed = time.perf_counter() - self._start
            if elapsed >= self._seconds:
                break
            self.late_s = max(self.late_s, elapsed - due)
            time.sleep(max(0.0, due - elapsed))
            self.answers.append(ask(connection, self._requests[number % len(self._requests)]))
        connection.close()


def main() -> None:
    """Send requests to a URL at a rate per second, and print what became of them as JSON."""
    url, rate = sys.argv[1], float(sys.argv[2])
    arrivals = Arrivals(url, [classified(photo) for photo in photos.load()], rate, OVERLOAD_S)
    arrivals.run()
    print(json.dumps({"answers": [asdict(answer) for answer in arrivals.answers], "late_s": arrivals.late_s}))


if __name__ == "__main__":
    main()
