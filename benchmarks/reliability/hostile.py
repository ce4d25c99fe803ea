"""Hostile bodies: what the largest and oddest bodies of one client cost another client and the ingress.

While each body is sent and answered, another client asks /health-check all the time.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.application import Application, only
from testbed.hostile.bodies import Witness, hostile_bodies, send
from testbed.processes import free_port

HOST = "127.0.0.1"
ENVIRONMENT = only("blur", "clip", "tagger", "detector", "captioner", "clusterer", "video") | {"WEIGHTS": "bundled"}
LONGEST_MS, GROWTH_MB = 250, 300


@dataclass(frozen=True)
class Cost:
    """What a body cost.

    Attributes:
        status: of its answer.
        seconds: until its answer.
        longest_ms: the longest time until another client's /health-check was answered meanwhile.
        growth_mb: how much the ingress grew at most, without the pages of the object store that it touched.
        resident_mb: the same with these pages.
    """

    what: str
    route: str
    size_mb: float
    status: int
    seconds: float
    longest_ms: float
    growth_mb: float
    resident_mb: float


def hostile() -> Iterator[Cost]:
    """Start an application and send it each body in turn."""
    port = free_port()
    with Application(port, ENVIRONMENT) as panoptes:
        (pid,) = panoptes.replicas("Ingress")
        for what, one in hostile_bodies().items():
            body = one.body()
            with Witness(HOST, port, pid) as others:
                started = time.perf_counter()
                status, _ = send(HOST, port, one, body)
                seconds = time.perf_counter() - started
            grown, resident = others.grown_bytes / 1e6, others.grown_resident_bytes / 1e6
            yield Cost(what, one.route, len(body) / 1e6, status, seconds, 1000 * others.slowest_s, grown, resident)
        if panoptes.replicas("Ingress") != [pid]:
            raise RuntimeError("the ingress was replaced")
