"""A bare `serve run` believes nobody's addresses, as `make serve` does, and says that Ray can be reached."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.project import LOOPBACK_ONLY
from testbed.application import Application
from testbed.processes import free_port, within
from tests.operations.listening import (
    ARGUMENTS,
    is_refused_whoever_it_says_it_is,
    join_and_count_nodes,
    listening,
    on_loopback,
)

BARE = [str(Path(sys.executable).parent / "serve"), "run", "--address", "local"]


@pytest.fixture(scope="module")
def bare() -> Iterator[Application]:
    """`serve run serve_config.yaml` as typed, on a Ray that listens as Ray does by default."""
    with Application(free_port(), {LOOPBACK_ONLY: "1"}, arguments=ARGUMENTS, command=BARE) as running:
        yield running


def test_forwarded_addresses_are_not_believed(bare: Application) -> None:
    assert is_refused_whoever_it_says_it_is(bare.url)


def test_it_says_that_others_reach_ray(bare: Application) -> None:
    if all(on_loopback(address) for address, _ in listening(bare.pids())):
        pytest.skip("this machine has no address but loopback")
    assert within(20, lambda: "Other machines can reach the ports of Ray" in bare.log_path.read_text(errors="replace"))


def test_a_job_joins_it(bare: Application) -> None:
    assert join_and_count_nodes(bare) == "1"
