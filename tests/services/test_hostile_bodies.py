"""While one client sends a hostile body over a socket, others are answered, and the server's memory is bounded."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from testbed.hostile.bodies import Witness, hostile_bodies, send
from testbed.processes import fetch, free_port, within
from tests.unit.serving import served

HOST = "127.0.0.1"
MOST_GROWTH = 300_000_000
# A quarter of a second on an idle machine, where the earlier code took 15 s; other tests may run beside this one.
MOST_WAIT_S = 3.0
BODIES = hostile_bodies()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[int, int]]:
    """The port and the pid of a server of the application with doubles of the models."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", served.__name__, str(port)]) as process:
        try:
            assert within(60, lambda: _answers(port))
            yield port, process.pid
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return bool(fetch(f"http://{HOST}:{port}/health-check"))
    except OSError:
        return False


@pytest.mark.parametrize("name", BODIES)
def test_others_are_answered_beside_a_hostile_body(server: tuple[int, int], name: str) -> None:
    port, pid = server
    body = BODIES[name].body()
    with Witness(HOST, port, pid) as witness:
        status, answer = send(HOST, port, BODIES[name], body)
    assert 200 <= status < 500, answer[:1000]
    assert len(answer) < 10_000
    assert witness.asked
    assert witness.slowest_s < MOST_WAIT_S
    assert witness.grown_bytes < MOST_GROWTH
