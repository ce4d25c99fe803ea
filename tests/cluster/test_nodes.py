"""Panoptes on a cluster: models where their resources are, replicas as the load is, and answers all the while."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.processes import within
from tests.cluster.conftest import FIFTH, ON_CPUS, QUARTERS, Cluster
from tests.contract.pictures import JPEG, inline
from tests.contract.test_catalogue import statistics, upload
from tests.unit.test_images import encoded

NVIDIA_DEVICE = Path("/dev/nvidia0")
SCALING_S = 120
CLIENTS = 6
WAITING = 48  # images: three workers' worth
# Flat, so that it is small on its way and decoded at once, and all the work is the Laplacian's.
LARGE = encoded(Image.new("RGB", (2000, 1500), (90, 120, 40)), "PNG")


class Steady:
    """A client that asks a route after the other, slowly, for as long as it is the context; counts the statuses."""

    ROUTES = ("/classify", "/caption", "/tags")

    def __init__(self, cluster: Cluster) -> None:
        self.statuses: Counter[int | str] = Counter()
        self._url = cluster.url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Steady":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(0.3):
            route = self.ROUTES[self.statuses.total() % len(self.ROUTES)]
            try:
                # Each on a connection of its own, so that every node's proxy gets its share.
                answer = httpx.post(f"{self._url}{route}", files={"file": ("a.jpg", JPEG)}, timeout=60)
                self.statuses[answer.status_code] += 1
            except httpx.TransportError as error:
                self.statuses[type(error).__name__] += 1


@pytest.fixture
def steady(cluster: Cluster) -> Steady:
    return Steady(cluster)


def test_models_land_where_their_resources_are(cluster: Cluster) -> None:
    assert sorted(cluster.nodes.alive().values()) == ["cpu", "gpu", "head"]
    running = {replica.deployment: replica for replica in cluster.nodes.replicas() if replica.state == "RUNNING"}
    assert {name: replica.node for name, replica in running.items()} == {
        **dict.fromkeys(QUARTERS, "gpu"),
        **dict.fromkeys(ON_CPUS, "cpu"),
    }
    for replica in running.values():
        assert replica.pid in cluster.nodes.pids(replica.node)


def test_four_quarters_fill_a_gpu_and_a_fifth_waits_and_says_so(cluster: Cluster, api: httpx.Client) -> None:
    usage = cluster.nodes.usage()
    print(usage)
    assert within(60, lambda: "to be scheduled" in cluster.nodes.deployments()[FIFTH]["message"])
    print(cluster.nodes.deployments()[FIFTH])
    print(api.get("/health").json())


@pytest.mark.parametrize("name", QUARTERS[:3])
def test_a_model_on_a_logical_gpu_computes_on_the_cpu_and_says_so(cluster: Cluster, name: str) -> None:
    logs = (cluster.nodes.folder / "ray" / "session_latest" / "logs" / "serve").glob(f"replica_panoptes_{name}_*.log")
    said = "".join(path.read_text() for path in logs)
    assert ("only logical: computing on the CPU" in said) == (not NVIDIA_DEVICE.exists())


def test_replicas_follow_the_load_and_routes_keep_answering(cluster: Cluster, steady: Steady) -> None:
    done = threading.Event()
    body = {"image": inline(LARGE), "run_blur": True}

    def load() -> set[int]:
        statuses = set()
        with httpx.Client(base_url=cluster.url, timeout=60) as client:
            while not done.is_set():
                statuses.add(client.post("/v1/analyze", json=body).status_code)
        return statuses

    with steady, ThreadPoolExecutor(CLIENTS) as pool:
        loads = [pool.submit(load) for _ in range(CLIENTS)]
        grown = within(SCALING_S, lambda: cluster.running("Blur") == 2)
        done.set()
        assert grown, cluster.nodes.deployments()["Blur"]
        assert set.union(*(one.result() for one in loads)) == {200}
        assert within(SCALING_S, lambda: cluster.running("Blur") == 1), cluster.nodes.deployments()["Blur"]
    assert steady.statuses.keys() == {200}


def test_workers_of_the_catalogue_follow_its_backlog(cluster: Cluster, api: httpx.Client, steady: Steady) -> None:
    done = threading.Event()

    def uploads(first: int) -> list[int]:
        ids = list[int]()
        with httpx.Client(base_url=cluster.url, timeout=60) as client:
            while not done.is_set():
                if statistics(client)["processing_images"] < WAITING:
                    picture = Image.new("RGB", (64, 48), (first, len(ids) // 256, len(ids) % 256))
                    ids.append(upload(client, encoded(picture, "PNG")))
        return ids

    with steady, ThreadPoolExecutor(2) as pool:
        uploading = [pool.submit(uploads, first) for first in range(2)]
        grown = within(SCALING_S, lambda: cluster.running("Cataloguer") == 2)
        done.set()
        ids = [image_id for one in uploading for image_id in one.result()]
        assert grown, cluster.nodes.deployments()["Cataloguer"]
        assert within(SCALING_S, lambda: statistics(api)["processing_images"] == 0), statistics(api)
        assert within(SCALING_S, lambda: cluster.running("Cataloguer") == 1), cluster.nodes.deployments()["Cataloguer"]
    found = statistics(api)
    assert (found["processed_images"], found["failed_images"]) == (len(ids), 0)
    assert steady.statuses.keys() == {200}
