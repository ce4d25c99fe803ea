"""Requests that several contract tests make, and how they read the answers."""

import json
import re
import socket
import time
from typing import Any

import httpx
import numpy as np

from testbed.application import Application
from tests.contract.pictures import JPEG, inline


def upload(api: httpx.Client, data: bytes, name: str = "a.jpg") -> int:
    """Upload an image to the catalogue; its id."""
    answer = api.post("/api/images", files={"file": (name, data)})
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"image_id", "status"}
    return int(answer.json()["image_id"])


def finished(api: httpx.Client, image_id: int, seconds: float = 60) -> dict[str, Any]:
    """The catalogue's answer about an image, once it is no longer being processed."""
    deadline = time.monotonic() + seconds
    while True:
        answer = api.get(f"/api/images/{image_id}")
        if answer.status_code != 503 and (body := answer.json())["status"] != "processing":
            return body  # type: ignore[no-any-return]
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def statistics(api: httpx.Client) -> dict[str, int]:
    """How many images of the catalogue have each status."""
    return api.get("/api/stats").json()["images"]  # type: ignore[no-any-return]


def ask_llm(api: httpx.Client, model: str, **more: Any) -> httpx.Response:
    """An analysis by a model of the provider's double; the model's name selects how the double behaves."""
    return api.post("/v1/analyze/llm", json={"image": inline(JPEG)["data"], "model": f"openai/{model}"} | more)


def leave(panoptes: Application, route: str, body: dict[str, Any], headers: str = "") -> None:
    """Send a request and disconnect a second later."""
    data = json.dumps(body).encode()
    host, port = panoptes.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {route} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{headers}"
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        time.sleep(1)


def blobs(count: int, dimensions: int = 64) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Vectors in eight clusters, (count, dimensions)."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(8, dimensions))
    return centres[random.integers(0, 8, count)] + random.normal(scale=0.35, size=(count, dimensions))


def sample(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels, read from text in the Prometheus format."""
    lines = re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return sum(
        float(value) for found, value in lines if all(f'{key}="{label}"' in found for key, label in labels.items())
    )
