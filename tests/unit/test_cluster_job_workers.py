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
        ({"CPU": 16.0, "GPU": 2.0}, 0, Workers(8, 1.0, 0.25)),
        ({"CPU": 3.0, "GPU": 1.0}, 0, Workers(3, 1.0, 0.25)),
        ({"CPU": 0.5, "GPU": 0.25}, 0, Workers(1, 0.0, 0.25)),
    ],
)
def test_tasks_can_be_scheduled_whatever_is_free(
    free: dict[str, float], asked: int, expected: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "available_resources", lambda: free)
    assert choose_workers(asked) == expected


def test_a_ray_that_was_named_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who names a cluster wants the work to be done there, not here."""

    def unreachable(**arguments: Any) -> None:
        assert arguments["address"] == "auto"
        raise ConnectionError("nobody answers")

    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(JobRefused, match="nobody answers"):
        start_ray()
