"""A busy machine and a broken device in operation: nothing is replaced without need, and no request fails."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.reliability.breakable import BROKEN
from benchmarks.reliability.faults import application, crowd, served, wait_until_whole
from benchmarks.reliability.traffic import PROBES, Traffic, mixed, probed
from testbed import photos
from testbed.application import READY_SECONDS, Application
from testbed.processes import within

BUSY_LOOPS, BUSY_S = 15 * (os.cpu_count() or 2), 45.0
REPLACED_S = 120.0
# Two clients keep a few requests under way without filling the machine.
CLIENTS = 2
ASKED = 20  # times: two replicas are then asked for certain
REQUESTS = mixed(photos.load())


@pytest.fixture(scope="module")
def panoptes() -> Iterator[Application]:
    """With two replicas of each deployment."""
    with application(2) as running:
        wait_until_whole(running, 2)
        # Each replica of the ingress asks by itself whether the models have been loaded, and has to be asked for it.
        assert within(READY_SECONDS, lambda: all(is_ready(running) for _ in range(ASKED)))
        yield running


def is_ready(running: Application) -> bool:
    return httpx.get(f"{running.url}/readyz", timeout=10).status_code == 200


def test_nothing_is_replaced_and_nothing_fails_while_others_want_every_core(panoptes: Application) -> None:
    before = served(panoptes.processes())
    busy = crowd(BUSY_LOOPS, BUSY_S)
    with Traffic(panoptes.url, probed(REQUESTS), CLIENTS) as traffic:
        for process in busy:
            process.wait()
    assert served(panoptes.processes()) == before
    assert traffic.answers.failed() == {}
    assert {answer.path for answer in traffic.answers.all} >= {"/classify", *PROBES}


def test_no_request_fails_because_the_device_of_one_of_two_replicas_broke(panoptes: Application) -> None:
    before = panoptes.processes()["Clip"]
    with Traffic(panoptes.url, REQUESTS, CLIENTS) as traffic:
        time.sleep(2)
        Path(panoptes.env[BROKEN]).write_text(str(before[0]))
        replaced = within(
            REPLACED_S, lambda: before[0] not in (now := panoptes.processes().get("Clip", [])) and len(now) == 2
        )
    assert replaced, panoptes.log_path.read_text()[-3000:]
    assert before[1] in panoptes.processes()["Clip"]
    assert traffic.answers.failed() == {}
    log = panoptes.log_path.read_text()
    assert "so this replica ends and Serve replaces it" in log
    assert httpx.get(f"{panoptes.url}/health", timeout=10).json()["status"] in {"ok", "busy"}
