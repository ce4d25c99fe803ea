"""Panoptes on a cluster: models run where their resources are, replicas follow the load, and routes keep answering."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from testbed.pictures.images import encoded
from testbed.processes import within
from tests.cluster.clients import Clients
from tests.cluster.conftest import ON_CPUS, QUARTERS, Cluster
from tests.contract.asking import statistics, upload
from tests.contract.pictures import JPEG, inline

NVIDIA_DEVICE = Path("/dev/nvidia0")
SCALING_S = 120
CLIENTS = 6
WAITING = 48  # images: a backlog for three workers
PHOTO: dict[str, Any] = {"json": {"image": inline(JPEG)}}
CAPTION = {"url": "/v1/caption"} | PHOTO
STEADY = [{"url": "/classify", "files": {"file": ("a.jpg", JPEG)}}, CAPTION, {"url": "/v1/tags"} | PHOTO]
# One flat colour: small to send and fast to decode, so that nearly all the work is the Laplacian.
LARGE = inline(encoded(Image.new("RGB", (2000, 1500), (90, 120, 40)), "PNG"))
# What is not named is run where it is there: the quality of such a picture takes ten times as long as its blur.
BLUR = [{"url": "/v1/analyze", "json": {"image": LARGE, "run_blur": True, "run_quality": False}}]


@pytest.fixture
def steady(cluster: Cluster) -> Clients:
    """One client that asks three models in turn, slowly."""
    return Clients(cluster.url, STEADY, pause_s=0.3)


def test_models_land_where_their_resources_are(cluster: Cluster) -> None:
    assert sorted(cluster.nodes.alive().values()) == ["cpu", "gpu", "head"]
    replicas = cluster.nodes.replicas()
    assert {replica.deployment: replica.node for replica in replicas} == {
        **dict.fromkeys(QUARTERS, "gpu"),
        **dict.fromkeys(ON_CPUS, "cpu"),
    }
    for replica in replicas:
        assert replica.pid in cluster.nodes.pids(replica.node)


@pytest.mark.parametrize("name", QUARTERS)
def test_a_model_on_a_gpu_that_is_only_logical_computes_on_the_cpu_and_says_so(cluster: Cluster, name: str) -> None:
    logs = (cluster.nodes.folder / "ray" / "session_latest" / "logs" / "serve").glob(f"replica_panoptes_{name}_*.log")
    said = "".join(path.read_text() for path in logs)
    assert ("only logical: computing on the CPU" in said) == (not NVIDIA_DEVICE.exists())


def test_four_quarters_fill_a_gpu_and_a_fifth_waits_and_says_so(cluster: Cluster, steady: Clients) -> None:
    assert within(30, lambda: "1.0/1.0 GPU" in cluster.nodes.usage()), cluster.nodes.usage()

    def waits() -> bool:
        details = cluster.nodes.deployments()["Captioner"]
        said = "to be scheduled" in details["message"] and '"GPU": 0.25' in details["message"]
        return said and cluster.places("Captioner") == [("RUNNING", "gpu"), ("STARTING", "")]

    with steady:
        with Clients(cluster.url, [CAPTION], CLIENTS) as load:
            assert within(SCALING_S, waits), cluster.nodes.deployments()["Captioner"]
        gone = within(SCALING_S, lambda: cluster.places("Captioner") == [("RUNNING", "gpu")])
        assert gone, cluster.nodes.deployments()["Captioner"]
    assert load.statuses.keys() == steady.statuses.keys() == {200}


def test_replicas_follow_the_load_and_routes_keep_answering(cluster: Cluster, steady: Clients) -> None:
    with steady:
        with Clients(cluster.url, BLUR, CLIENTS) as load:
            grown = within(SCALING_S, lambda: cluster.places("Blur") == [("RUNNING", "cpu")] * 2)
        assert grown, cluster.nodes.deployments()["Blur"]
        shrunk = within(SCALING_S, lambda: cluster.places("Blur") == [("RUNNING", "cpu")])
        assert shrunk, cluster.nodes.deployments()["Blur"]
    assert load.statuses.keys() == steady.statuses.keys() == {200}


def test_workers_of_the_catalogue_follow_its_backlog(cluster: Cluster, api: httpx.Client, steady: Clients) -> None:
    done = threading.Event()

    def uploads(first: int) -> list[int]:
        ids = list[int]()
        with httpx.Client(base_url=cluster.url, timeout=60) as client:
            while not done.is_set():
                if statistics(client)["processing_images"] < WAITING:
                    picture = Image.new("RGB", (64, 48), (first, len(ids) // 256, len(ids) % 256))
                    ids.append(upload(client, encoded(picture, "PNG")))
        return ids

    with steady, ThreadPoolExecutor(CLIENTS) as pool:
        uploading = [pool.submit(uploads, first) for first in range(CLIENTS)]
        grown = within(SCALING_S, lambda: cluster.places("Cataloguer") == [("RUNNING", "cpu")] * 2)
        done.set()
        ids = [image_id for one in uploading for image_id in one.result()]
        assert grown, cluster.nodes.deployments()["Cataloguer"]
        assert within(SCALING_S, lambda: statistics(api)["processing_images"] == 0), statistics(api)
        shrunk = within(SCALING_S, lambda: cluster.places("Cataloguer") == [("RUNNING", "cpu")])
        assert shrunk, cluster.nodes.deployments()["Cataloguer"]
    found = statistics(api)
    assert (found["processed_images"], found["failed_images"]) == (len(ids), 0)
    assert steady.statuses.keys() == {200}
