"""/v1/caption, /v1/tags, /v1/objects, /v1/text and their flags in /v1/analyze, with doubles."""

import base64
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.pictures.inputs import Reduced
from serve_app.http.errors import ModelUnavailable
from serve_app.inputs.images import Decoder
from testbed.pictures.images import encoded
from tests.unit.serving.api import Doubles, client

PHOTO = encoded(Image.new("RGB", (200, 100), "teal"), "PNG")
IMAGE = {"data": base64.b64encode(PHOTO).decode(), "image_id": "photo"}
SEEN = {"image_id": "photo", "width_px": 200, "height_px": 100}
TAGS = [{"label": "espresso", "probability": 0.75}, {"label": "cup", "probability": 0.125}]
OBJECTS = {
    "objects": [
        {"label": "table", "region": {"x": 0, "y": 50, "w": 200, "h": 50}},
        {"label": "cup", "region": {"x": 50, "y": 50, "w": 100, "h": 50}},
        {"label": "cup", "region": {"x": 50, "y": 50, "w": 100, "h": 50}},
    ],
    "counts": {"cup": 2, "table": 1},
}
LINES = [{"text": "Oudegracht", "confidence": 0.75, "quadrilateral": [[1, 2], [31, 2], [31, 12], [1, 12]]}]
ANSWERS: dict[str, dict[str, Any]] = {
    "caption": {"model": "test/captioner", **SEEN, "caption": "a cup on a table"},
    "tags": {"model": "test/tagger", **SEEN, "tags": TAGS},
    "objects": {"model": "test/detector", **SEEN, **OBJECTS},
    "text": {"model": "test/text", **SEEN, "lines": LINES},
}


@pytest.mark.parametrize("route", ANSWERS)
async def test_each_route_has_its_own_answer(route: str) -> None:
    async with client() as api:
        answer = await api.post(f"/v1/{route}", json={"image": IMAGE})
    assert (answer.status_code, answer.json()) == (200, ANSWERS[route])
    assert ANSWERS[route]["model"] in answer.headers["X-Panoptes-Weights"]


async def test_the_number_of_labels_is_passed_to_the_model() -> None:
    models = Doubles()
    async with client(models=models) as api:
        await api.post("/v1/tags", json={"image": IMAGE, "num_labels": 17})
        await api.post("/v1/tags", json={"image": IMAGE})
        refused = [await api.post("/v1/tags", json={"image": IMAGE, "num_labels": n}) for n in (0, 1001, "many")]
    assert models.tagger.told == [(17,), (5,)]
    assert [answer.status_code for answer in refused] == [422] * 3


async def test_an_analysis_contains_every_requested_answer() -> None:
    flags = {f"run_{name}": name in ANSWERS for name in ("blur", "quality", "emotion", "embedding", *ANSWERS)}
    async with client() as api:
        result = (await api.post("/v1/analyze", json={"image": IMAGE} | flags)).json()["result"]
    assert result["caption"] == {"model": "test/captioner", "text": "a cup on a table"}
    assert result["tags"] == {"model": "test/tagger", "tags": TAGS}
    assert result["objects"] == {"model": "test/detector", **OBJECTS}
    assert result["text"] == {"model": "test/text", "lines": LINES}
    assert result["error"] is None


async def test_an_unavailable_captioner_costs_only_the_caption() -> None:
    models = Doubles()
    models.captioner.fails = ModelUnavailable("being replaced", retry_after_s=5)
    async with client(models=models) as api:
        alone = await api.post("/v1/caption", json={"image": IMAGE})
        among = (await api.post("/v1/analyze", json={"image": IMAGE, "run_caption": True, "run_tags": True})).json()
    assert (alone.status_code, alone.headers["Retry-After"]) == (503, "5")
    assert (among["result"]["caption"], among["result"]["error"]) == (None, "caption: being replaced")
    assert among["result"]["tags"]


@pytest.mark.parametrize("route", ANSWERS)
@pytest.mark.parametrize(
    ("image", "status"),
    [
        ({"data": ""}, 400),
        ({"data": base64.b64encode(b"text").decode()}, 400),
        ({"data": base64.b64encode(PHOTO[:60]).decode()}, 400),
        ({"data": "@@"}, 400),
        ({"url": "http://127.0.0.1/"}, 400),
        ({}, 422),
        ({"data": "AAAA", "url": "http://example.com/"}, 422),
    ],
)
async def test_files_that_are_not_images_are_refused(route: str, image: dict[str, str], status: int) -> None:
    async with client() as api:
        answer = await api.post(f"/v1/{route}", json={"image": image})
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error", "message", "detail"}


@pytest.mark.parametrize(
    ("route", "name"), [("caption", "captioner"), ("tags", "tagger"), ("objects", "detector"), ("text", "text")]
)
async def test_a_switched_off_model_is_reported(route: str, name: str) -> None:
    models = Doubles()
    getattr(models, name).models = ()
    async with client(models=models) as api:
        answer = await api.post(f"/v1/{route}", json={"image": IMAGE})
        asked = (await api.post("/v1/analyze", json={"image": IMAGE, f"run_{route}": True})).json()["result"]
    assert (answer.status_code, answer.json()["error"]) == (503, "model_disabled")
    assert "switched off" in asked["error"]


@pytest.mark.parametrize(
    ("size", "form", "crop", "seen"),
    [
        ((4000, 3000), "PNG", False, (308, 300)),
        ((4000, 3000), "PNG", True, (400, 300)),
        ((4000, 3000), "JPEG", True, (500, 375)),  # the decoder's eighth
        ((500, 350), "PNG", True, (500, 350)),
        ((300, 30_000), "PNG", False, (300, 300)),
        ((300, 30_000), "PNG", True, (300, 2400)),
    ],
)
async def test_a_large_picture_is_made_smaller_and_never_too_small(
    size: tuple[int, int], form: str, crop: bool, seen: tuple[int, int]
) -> None:
    [decoded] = await Decoder(1, 10**8).inputs(encoded(Image.new("RGB", size, "teal"), form), Reduced(300, crop))
    assert (decoded.width, decoded.height) == size
    assert decoded.pixels.shape == (seen[1], seen[0], 3)
    assert np.abs(decoded.pixels[5, 5] - np.array([0, 128, 128])).max() < 5
