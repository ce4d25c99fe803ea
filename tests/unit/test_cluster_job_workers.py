"""How many tasks the clustering job runs at a time, and what each reserves."""

from typing import Any

import pytest
import ray

from jobs.clustering.search import Workers, choose_workers, start_ray
from jobs.errors import JobRefused


@pytest.mark.parametrize(
    ("free", "asked", "expected"),
    [
        ({"CPU": 16.0}, 0, Workers(16, 1.0, 0.0)),
        ({"CPU": 16.0}, 4, Workers(4, 1.0, 0.0)),
        ({"CPU": 2.7}, 0, Workers(2, 1.0, 0.0)),
        ({"CPU": 0.15}, 0, Workers(1, 0.0, 0.0)),
        ({}, 0, Workers(1, 0.0, 0.0)),
        ({"CPU": 16.0, "GPU": 2.0}, 0, Workers(8, 0.0, 0.25)),
        ({"CPU": 3.0, "GPU": 1.0}, 0, Workers(3, 0.0, 0.25)),
        ({"CPU": 0.5, "GPU": 0.5}, 0, Workers(1, 0.0, 0.25)),
        # A fifth of each of two GPUs: no task that asks for a quarter would ever run.
        ({"CPU": 16.0, "GPU": 0.4}, 0, Workers(16, 1.0, 0.0)),
    ],
)
def test_tasks_can_be_scheduled_whatever_is_free(
    free: dict[str, float], asked: int, expected: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(monkeypatch, free, [{"CPU": 16.0, "GPU": 2.0}])
    assert choose_workers(asked) == expected


@pytest.mark.parametrize(("cores", "reserved"), [(1.4, 0.0), (1.9, 0.0), (2.0, 1.0), (5.0, 1.0)])
def test_a_core_in_pieces_on_several_nodes_is_not_waited_for(
    cores: float, reserved: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two nodes with cores and a head without."""
    joined(monkeypatch, {"CPU": cores}, [{}, {"CPU": 4.0}, {"CPU": 4.0}])
    assert choose_workers(0) == Workers(int(cores), reserved, 0.0)


def joined(monkeypatch: pytest.MonkeyPatch, free: dict[str, float], nodes: list[dict[str, float]]) -> None:
    """As if Ray ran with these resources."""
    whole = {name: sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
    monkeypatch.setattr(ray, "available_resources", lambda: free)
    monkeypatch.setattr(ray, "cluster_resources", lambda: whole)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])


def test_a_ray_that_was_named_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who names a cluster wants the work to be done there, not here."""

    def unreachable(**arguments: Any) -> None:
        assert arguments["address"] == "auto"
        raise ConnectionError("nobody answers")

    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(JobRefused, match="nobody answers"):
        start_ray()
