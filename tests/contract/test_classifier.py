"""Family A over HTTP: the fields, the decision, and the right class for real pictures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.paths import SAMPLES, shared

FIELDS = [
    "filename", "file_size_bytes", "is_map_or_aerial", "confidence", "classification", "probabilities",
    "would_download", "timestamp",
]  # fmt: skip
OTHERS = [
    "astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "coral_bird.bmp", "coral_cat.bmp", "coral_parrot.jpg",
    "coral_hot_dog.jpg", "coral_pets.jpg", "coral_sunflower.bmp", "coral_grace_hopper.bmp",
]  # fmt: skip


def classify(api: httpx.Client, path: Path) -> dict[str, Any]:
    answer = api.post("/classify", files={"file": (path.name, path.read_bytes())})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_answer_has_exactly_the_documented_fields(api: httpx.Client) -> None:
    path = SAMPLES / "china.jpg"
    answer = api.post("/classify", files={"file": ("../a b.jpg", path.read_bytes())})
    body = answer.json()
    assert list(body) == FIELDS
    assert (body["filename"], body["file_size_bytes"]) == ("../a b.jpg", path.stat().st_size)
    probabilities = body["probabilities"]
    assert list(probabilities) == ["maps", "aerial_satellite", "miscellaneous"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert body["confidence"] == max(probabilities.values()) == probabilities[body["classification"]]
    assert body["would_download"] == body["is_map_or_aerial"]
    assert datetime.now(UTC) - datetime.fromisoformat(body["timestamp"]) < timedelta(minutes=1)
    assert answer.headers["X-Panoptes-Weights"] == "clip=bundled/clip-scenes-v1"


def test_a_street_map_is_a_map(api: httpx.Client) -> None:
    body = classify(api, shared("images/osm_carto_preview.png"))
    assert (body["classification"], body["is_map_or_aerial"]) == ("maps", True)


def test_a_satellite_grid_is_aerial(api: httpx.Client) -> None:
    body = classify(api, shared("images/eurosat_overview_small.jpg"))
    assert (body["classification"], body["is_map_or_aerial"]) == ("aerial_satellite", True)


def test_photographs_are_neither_maps_nor_aerial_images(api: httpx.Client) -> None:
    found = {name: classify(api, shared(f"images/{name}"))["classification"] for name in OTHERS}
    assert sum(category == "miscellaneous" for category in found.values()) >= 10, found


def test_health_reports_the_model(api: httpx.Client) -> None:
    body = api.get("/health").json()
    assert body["status"] in {"ok", "busy"}  # this machine may be
    assert (body["classifier"], body["environment"]) == ("loaded", "development")
    assert "drawn" in body["message"] or "draws" in body["message"]
    clip = body["models"][0]
    assert (clip["name"], clip["loaded"], clip["weights"], clip["replicas"]) == (
        "clip",
        True,
        "bundled/clip-scenes-v1",
        1,
    )
    assert clip["load_time_ms"] > 0
    assert clip["state"] in {"ok", "busy"}
