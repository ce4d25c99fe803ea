"""Where the clustering job runs, how many block rows run at a time, and what each task reserves."""

from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.exceptions import AuthenticationError, RayError
from threadpoolctl import threadpool_info

from deployments.clustering.dbscan import Cancelled
from deployments.clustering.growth import Growth, GrowthSnapshot
from jobs.clustering import workers
from jobs.clustering.rows import SearchPlan, Threshold
from jobs.clustering.search import search
from jobs.clustering.workers import Searching, Store, Threads, Workers, joined_ray, tasks_in_ray, threads_here
from jobs.runtime.errors import JobRefused
from jobs.runtime.output import open_output


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
def test_tasks_can_be_scheduled_on_any_free_resources(
    free: dict[str, float], asked: int, expected: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(monkeypatch, free, [{"CPU": 16.0, "GPU": 2.0}])
    assert tasks_in_ray(asked) == expected


@pytest.mark.parametrize(("cores", "reserved"), [(1.4, 0.0), (1.9, 0.0), (2.0, 1.0), (5.0, 1.0)])
def test_a_core_split_over_nodes_is_not_requested(
    cores: float, reserved: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On two nodes with cores and a head node without."""
    joined(monkeypatch, {"CPU": cores}, [{}, {"CPU": 4.0}, {"CPU": 4.0}])
    assert tasks_in_ray(0) == Workers(int(cores), reserved, 0.0)


def joined(monkeypatch: pytest.MonkeyPatch, free: dict[str, float], nodes: list[dict[str, float]]) -> None:
    """As if Ray ran with these resources."""
    whole = {name: sum(node.get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
    monkeypatch.setattr(ray, "available_resources", lambda: free)
    monkeypatch.setattr(ray, "cluster_resources", lambda: whole)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])


def unreachable(**arguments: Any) -> None:
    assert arguments["address"] == "auto"
    raise ConnectionError("nobody answers")


def test_without_ray_the_job_runs_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", unreachable)
    assert joined_ray() is None


def test_a_named_cluster_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who names a cluster wants the work done there, not here."""
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(JobRefused, match="nobody answers"):
        joined_ray()


def test_a_cluster_that_requires_a_token_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(**arguments: Any) -> None:
        raise AuthenticationError("no token")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", locked)
    with pytest.raises(JobRefused, match="RAY_AUTH_TOKEN"):
        joined_ray()


@pytest.mark.parametrize(
    ("gpus", "asked", "expected"),
    [
        (0, 0, Workers(6, 1.0, 0.0)),
        (0, 3, Workers(3, 1.0, 0.0)),
        (1, 0, Workers(4, 0.0, 0.25)),
        (2, 0, Workers(6, 0.0, 0.25)),
        (2, 3, Workers(3, 0.0, 0.25)),
    ],
)
def test_here_there_is_a_thread_for_each_core_or_four_for_each_gpu(
    gpus: int, asked: int, expected: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with six cores."""
    monkeypatch.setattr(workers, "cores", lambda: 6)
    monkeypatch.setattr(workers, "_gpus_here", lambda: gpus)
    assert threads_here(asked) == expected


def test_threads_multiply_with_one_thread_each_until_they_are_closed() -> None:
    def blas() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = blas()
    threads = Threads(*searching(1000))
    assert set(blas()) == {1}
    threads.close()
    assert blas() == before


def test_closed_threads_stop_early() -> None:
    """A block row of 10,000 × 20,000 products ends at the next 1024 × 1024."""
    threads = Threads(*searching(20_000))
    known = [Growth(20_000, 5).known()]
    first, second = threads.submit(0, known), threads.submit(1, known)
    threads.close()
    assert second.cancelled()
    with pytest.raises((Cancelled, CancelledError)):
        first.result()


def test_the_job_is_refused_when_ray_cannot_store_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, when the disk that the object store spills to is full."""

    def full(known: list[GrowthSnapshot]) -> None:
        raise RayError("no space left")

    given, one = searching(1000)
    threads = Threads(given, one)
    monkeypatch.setattr(threads, "share", full)
    with pytest.raises(JobRefused, match="no space left"):
        search(given.plan, threads, 1, open_output(str(tmp_path)), "signature")


def searching(count: int) -> tuple[Searching, Workers]:
    """Rows without neighbours, in two blocks, for one thread."""
    store, vectors = Store(in_ray=False), np.random.default_rng(1).standard_normal((count, 64))
    for half in np.split(vectors, 2):
        store.append(half)
    plan = SearchPlan(count, count // 2, (Threshold(0.1, 5),))
    return Searching(plan, store, None, np.linalg.norm(vectors, axis=1), 64), Workers(1, 1.0, 0.0)
