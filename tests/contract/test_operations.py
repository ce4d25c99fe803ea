"""What an operator sees: request ids, structured logs of every deployment, metrics, the schema."""

import json
import time
from typing import Any

import httpx
import pytest

from testbed.application import Application
from testbed.paths import SAMPLES
from tests.contract.asking import sample

JPEG = (SAMPLES / "flower.jpg").read_bytes()


def log_lines(panoptes: Application, deployment: str) -> list[dict[str, Any]]:
    """The structured log of a deployment's replicas."""
    logs = (panoptes.ray_folder / "session_latest" / "logs" / "serve").glob(f"replica_panoptes_{deployment}_*.log")
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def test_the_client_s_request_id_is_echoed_once_and_logged_by_every_deployment(
    panoptes: Application, api: httpx.Client
) -> None:
    identity = f"client-id-{time.time_ns()}"
    answer = api.post("/classify", files={"file": ("a.jpg", JPEG)}, headers={"X-Request-ID": identity})
    assert answer.headers.get_list("X-Request-ID") == [identity]
    for deployment in ("Ingress", "Clip"):
        deadline = time.monotonic() + 10
        while not (found := [line for line in log_lines(panoptes, deployment) if line.get("request_id") == identity]):
            assert time.monotonic() < deadline, f"{deployment} did not log {identity}"
            time.sleep(0.2)
        assert found[0]["route"] == "/classify"
        assert {"levelname", "message", "replica", "timestamp_ns"} <= found[0].keys()


def test_a_request_without_an_id_gets_one(api: httpx.Client) -> None:
    ids = {api.get("/health").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


def test_the_start_up_log_describes_the_weights(panoptes: Application) -> None:
    assert "nothing else" in panoptes.log_path.read_text()


def test_metrics_count_requests(panoptes: Application, api: httpx.Client) -> None:
    time.sleep(panoptes.metrics_delay_s)
    before = panoptes.metrics()
    for data in (JPEG, JPEG, b"no image"):
        api.post("/classify", files={"file": ("a.jpg", data)})
    time.sleep(panoptes.metrics_delay_s)
    after = panoptes.metrics()

    def grown(name: str, **labels: str) -> float:
        return sample(after, name, **labels) - sample(before, name, **labels)

    assert grown("ray_panoptes_images_total", route="/classify", outcome="ok") == 2
    assert grown("ray_panoptes_images_total", route="/classify", outcome="invalid_image") == 1
    assert grown("ray_panoptes_decode_seconds_count") == 3
    model = "bundled/clip-scenes-v1"
    assert grown("ray_panoptes_items_total", model=model) == 2
    assert grown("ray_panoptes_batch_size_count", model=model) == 2
    assert grown("ray_panoptes_model_seconds_count", model=model) == 2


def test_the_schema_is_served(api: httpx.Client) -> None:
    schema = api.get("/openapi.json").json()
    assert schema["info"]["title"] == "Panoptes"
    assert {"/classify", "/categorize", "/image", "/v1/embeddings", "/v1/classify", "/v1/models"} <= schema[
        "paths"
    ].keys()
    assert api.get("/docs").status_code == 200


@pytest.mark.parametrize("route", ["/categorize", "/image"])
def test_each_get_of_the_categorizer_is_a_form(api: httpx.Client, route: str) -> None:
    page = api.get(route)
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'name="files"' in page.text
    assert 'name="categories"' in page.text
