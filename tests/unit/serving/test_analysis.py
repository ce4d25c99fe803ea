"""/v1/analyze with doubles: flags, partial answers, deadlines, batches, streaming, and what the models receive."""

import asyncio
import base64
import json
import re
import time
from typing import Any

import pytest

from deployments.models.quality.answers import QualityMeasures
from deployments.pictures.inputs import PictureInput
from deployments.runtime.errors import ModelFailed
from deployments.specs import all_specs
from serve_app.clients.client import AnalyzerClient
from serve_app.clients.models import Models
from serve_app.http.errors import ModelUnavailable, Overloaded
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoder
from testbed.pictures.images import encoded, two_halves
from tests.unit.serving.api import Doubles, client

PNG = encoded(two_halves(), "PNG")
DATA = base64.b64encode(PNG).decode()
IMAGE = {"data": DATA, "image_id": "photo"}
ANALYZERS = ("blur", "quality", "emotion", "embedding", "classification")


def only(*names: str) -> dict[str, Any]:
    return {"image": IMAGE} | {f"run_{name}": name in names for name in ANALYZERS}


async def test_every_field_of_the_contract_is_there() -> None:
    async with client() as api:
        answer = await api.post("/v1/analyze", json={"image": IMAGE, "run_classification": True})
    body = answer.json()
    assert (answer.status_code, body["api_version"]) == (200, "1.0")
    result = body["result"]
    assert (result["image_id"], result["source_url"], result["error"]) == ("photo", None, None)
    assert (result["width_px"], result["height_px"]) == two_halves().size
    assert result["blur"] == {
        "laplacian_variance": 312.5,
        "normalized_laplacian_variance": 150.0,
        "is_blurry": False,
        "blur_threshold": 100.0,
    }
    assert result["quality"] == {"brisque_score": 14.0, "nima_technical_score": 6.5, "overall_quality": "high"}
    assert result["aesthetic"] == {"nima_aesthetic_score": 5.5, "aesthetic_label": "medium"}
    assert result["emotion"]["faces_detected"] == 1
    assert result["emotion"]["faces"][0]["region"] == {"x": 1, "y": 2, "w": 30, "h": 40}
    assert (result["embedding"]["model"], len(result["embedding"]["vector"])) == ("test/double", 4)
    assert result["classification"]["classification"] == "miscellaneous"
    assert result["processing_time_ms"] > 0
    weights = answer.headers["X-Panoptes-Weights"]
    assert all(f"{name}=test/" in weights for name in ("clip", "deepface", "pyiqa_brisque"))


@pytest.mark.parametrize(
    ("figures", "overall", "aesthetic"),
    [
        (QualityMeasures(24.9, 6.0, 6.5), "high", "high"),
        (QualityMeasures(25.0, 6.0, 6.4), "medium", "medium"),
        (QualityMeasures(24.9, 5.9, 5.0), "medium", "medium"),
        (QualityMeasures(50.0, 9.0, 4.9), "low", "low"),
        (QualityMeasures(10.0, 4.4, 1.0), "low", "low"),
    ],
)
async def test_scores_become_grades(figures: QualityMeasures, overall: str, aesthetic: str) -> None:
    models = Doubles()
    models.quality.figures = figures
    async with client(models=models) as api:
        result = (await api.post("/v1/analyze", json=only("quality"))).json()["result"]
    assert (result["quality"]["overall_quality"], result["aesthetic"]["aesthetic_label"]) == (overall, aesthetic)


async def test_a_picture_without_texture_keeps_its_aesthetic_score() -> None:
    models = Doubles()
    models.quality.figures = QualityMeasures(None, 6.0, 6.0)
    async with client(models=models) as api:
        result = (await api.post("/v1/analyze", json=only("quality"))).json()["result"]
    assert result["quality"] is None
    assert result["aesthetic"]["nima_aesthetic_score"] == 6.0
    assert result["error"].startswith("quality: the image is too small or has no texture")


async def test_no_face_is_null_and_not_an_error() -> None:
    models = Doubles()
    models.emotion.figures = []
    async with client(models=models) as api:
        result = (await api.post("/v1/analyze", json=only("emotion"))).json()["result"]
    assert (result["emotion"], result["error"]) == (None, None)


async def test_the_blur_threshold_is_a_setting() -> None:
    async with client(blur_threshold=400.0) as api:
        blur = (await api.post("/v1/analyze", json=only("blur"))).json()["result"]["blur"]
    assert (blur["is_blurry"], blur["blur_threshold"]) == (True, 400.0)


async def test_only_the_requested_analyzers_run() -> None:
    models = Doubles()
    async with client(models=models) as api:
        result = (await api.post("/v1/analyze", json=only("blur"))).json()["result"]
    assert [name for name in ANALYZERS if result[name] is not None] == ["blur"]
    assert (models.blur.seen, models.quality.seen, models.emotion.seen) == ([(*two_halves().size[::-1], 3)], [], [])


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (ModelUnavailable("The model is being replaced: try again.", retry_after_s=5), "being replaced"),
        (RuntimeError("/srv/secret.py broke"), "X-Request-ID"),
        (ModelFailed("secret"), "X-Request-ID"),
    ],
)
async def test_one_failing_analyzer_gives_a_partial_result(failure: Exception, says: str) -> None:
    models = Doubles()
    models.quality.fails = failure
    async with client(models=models) as api:
        answer = await api.post("/v1/analyze", json={"image": IMAGE})
    result = answer.json()["result"]
    assert answer.status_code == 200
    assert result["quality"] is result["aesthetic"] is None
    assert result["blur"]
    assert result["embedding"]
    assert result["error"].startswith("quality: ")
    assert says in result["error"]
    assert "secret" not in answer.text


async def test_a_late_analyzer_is_missing_and_the_others_are_not() -> None:
    models = Doubles()
    models.emotion.before = lambda: asyncio.sleep(30)
    async with client(models=models, analyzer_timeout_s=0.2) as api:
        started = time.monotonic()
        result = (await api.post("/v1/analyze", json={"image": IMAGE})).json()["result"]
    assert time.monotonic() - started < 10
    assert result["error"] == "emotion: no answer in time: try again"
    assert result["blur"]
    assert result["quality"]


async def test_an_overloaded_model_is_503_for_one_image_and_an_error_in_a_batch() -> None:
    models = Doubles()
    models.blur.fails = Overloaded("Too many requests wait for this model: try again.", retry_after_s=1)
    async with client(models=models) as api:
        alone = await api.post("/v1/analyze", json=only("blur"))
        batch = await api.post(
            "/v1/analyze/batch", json={"images": [IMAGE]} | {k: v for k, v in only("blur").items() if k != "image"}
        )
    assert (alone.status_code, alone.headers["Retry-After"]) == (503, "1")
    assert batch.json()["results"][0]["error"].startswith("Overloaded: ")


async def test_a_batch_returns_what_is_ready_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_fetcher: Fetcher, _url: str) -> bytes:
        await asyncio.sleep(30)
        raise AssertionError("it was cancelled")

    monkeypatch.setattr(Fetcher, "get", never)
    models = Doubles()
    models.emotion.before = lambda: asyncio.sleep(30)
    slow = {"url": "http://example.com/slow.jpg"}
    async with client(models=models, request_timeout_s=5.0) as api:
        answer = await api.post("/v1/analyze/batch", json={"images": [IMAGE, slow]})
    assert answer.status_code == 200
    here, late = answer.json()["results"]
    assert here["blur"]
    assert here["error"] == "emotion: no answer in time: try again"
    assert late["error"].startswith("DeadlineExceeded: ")


async def test_every_reference_of_the_schema_resolves() -> None:
    async with client() as api:
        text = (await api.get("/openapi.json")).text
    schema = json.loads(text)
    references = set(re.findall(r'"\$ref":\s*"([^"]+)"', text))
    assert references
    for reference in references:
        part: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


async def test_analyzers_run_in_parallel() -> None:
    models = Doubles()
    together = asyncio.Barrier(4)  # none continues before all four have arrived
    for double in (models.blur, models.quality, models.emotion, models.clip):
        double.before = together.wait
    async with client(models=models, analyzer_timeout_s=5) as api:
        result = (await api.post("/v1/analyze", json={"image": IMAGE})).json()["result"]
    assert result["error"] is None


async def test_a_switched_off_analyzer_is_an_error_only_when_requested() -> None:
    models = Doubles()
    models.replace(AnalyzerClient(all_specs()["Emotion"], None))
    async with client(models=models) as api:
        silent = (await api.post("/v1/analyze", json={"image": IMAGE})).json()["result"]
        asked = (await api.post("/v1/analyze", json={"image": IMAGE, "run_emotion": True})).json()["result"]
        alone = await api.post("/v1/analyze", json=only("emotion"))
    assert (silent["emotion"], silent["error"]) == (None, None)
    assert asked["error"] == "emotion: Emotion is switched off here"
    assert asked["blur"]
    assert (alone.status_code, alone.json()["error"]) == (503, "model_disabled")


async def test_nothing_switched_on_is_503() -> None:
    async with client(models=Models({})) as api:
        answer = await api.post("/v1/analyze", json={"image": IMAGE})
    assert (answer.status_code, answer.json()["error"]) == (503, "model_disabled")


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ({"data": base64.b64encode(b"this is no image").decode()}, "ImageDecodeError: "),
        ({"data": base64.b64encode(PNG[:60]).decode()}, "ImageDecodeError: "),
        ({"data": ""}, "ImageDecodeError: "),
        ({"data": "not base64!"}, "ImageDecodeError: "),
        ({"url": "http://127.0.0.1/a.png"}, "UrlRefused: "),
        ({"url": "ftp://example.com/a.png"}, "UrlRefused: "),
    ],
)
async def test_a_bad_image_is_an_error_in_its_result(image: dict[str, str], error: str) -> None:
    async with client() as api:
        answer = await api.post("/v1/analyze", json={"image": image})
    assert answer.status_code == 200
    assert answer.json()["result"]["error"].startswith(error)
    assert answer.json()["result"]["blur"] is None


@pytest.mark.parametrize("settings", [{"max_image_mb": 0.00001}, {"max_megapixels": 0.00001}])
async def test_limits_are_413_for_one_image_and_an_error_of_the_item_in_a_batch(settings: dict[str, Any]) -> None:
    async with client(**settings) as api:
        assert (await api.post("/v1/analyze", json={"image": IMAGE})).status_code == 413
        batch = await api.post("/v1/analyze/batch", json={"images": [IMAGE]})
    assert batch.status_code == 200
    assert "TooLarge: " in batch.json()["results"][0]["error"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": {}},
        {"image": {"data": DATA, "url": "https://example.com/a.png"}},
        {"image": IMAGE, "run_blurr": True},
        {"image": IMAGE, "run_blur": "perhaps"},
        {"image": {"data": DATA, "image_id": "x" * 129}},
    ],
)
async def test_invalid_requests_are_refused(body: dict[str, Any]) -> None:
    async with client() as api:
        answer = await api.post("/v1/analyze", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")


async def test_a_bad_image_does_not_affect_the_rest_of_its_batch() -> None:
    broken = {"data": "AAAA", "image_id": "broken"}
    async with client() as api:
        body = (await api.post("/v1/analyze/batch", json={"images": [IMAGE, broken, IMAGE]})).json()
    assert (body["total"], body["succeeded"], body["failed"]) == (3, 2, 1)
    assert [result["image_id"] for result in body["results"]] == ["photo", "broken", "photo"]
    assert [result["error"] is None for result in body["results"]] == [True, False, True]
    assert body["total_processing_time_ms"] > 0


async def test_an_unexpected_error_fails_only_its_image_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = Decoder.inputs

    async def sometimes(self: Decoder, data: bytes, *wanted: PictureInput) -> Any:
        if data == b"strange":
            raise ZeroDivisionError("/srv/secret.py")
        return await inputs(self, data, *wanted)

    monkeypatch.setattr(Decoder, "inputs", sometimes)
    strange = {"data": base64.b64encode(b"strange").decode()}
    async with client() as api:
        batch = await api.post("/v1/analyze/batch", json={"images": [strange, IMAGE]})
        alone = await api.post("/v1/analyze", json={"image": strange})
    assert [result["error"] is None for result in batch.json()["results"]] == [False, True]
    assert "secret" not in batch.text
    assert alone.status_code == 500


async def test_a_batch_has_a_limit_and_is_not_empty() -> None:
    async with client(max_batch_size=2) as api:
        many = await api.post("/v1/analyze/batch", json={"images": [IMAGE] * 3})
        none = await api.post("/v1/analyze/batch", json={"images": []})
    assert (many.status_code, none.status_code) == (422, 422)
    assert "at most 2" in many.json()["message"]
    assert many.json()["detail"][0]["loc"] == ["body", "images"]


async def test_images_in_flight_are_bounded() -> None:
    models, under_way, most = Doubles(), 0, 0

    async def watch() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    models.blur.before = watch
    async with client(models=models, max_concurrent_pictures=3) as api:
        body = (await api.post("/v1/analyze/batch", json={"images": [IMAGE] * 12} | {"run_quality": False})).json()
    assert body["succeeded"] == 12
    assert most == 3


async def test_a_batch_can_be_streamed_as_results_become_ready() -> None:
    models, first = Doubles(), True

    async def slow_at_first() -> None:
        nonlocal first
        if first:
            first = False
            await asyncio.sleep(0.5)

    models.blur.before = slow_at_first
    headers = {"Accept": "application/x-ndjson"}
    images = [{"data": DATA, "image_id": "slow"}, {"data": "AAAA", "image_id": "broken"}, IMAGE]
    async with client(models=models, max_concurrent_pictures=2) as api:
        answer = await api.post("/v1/analyze/batch", json={"images": images}, headers=headers)
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted(line["index"] for line in lines) == [0, 1, 2]
    assert lines[-1]["image_id"] == "slow"
    assert [line["image_id"] for line in lines if line["error"]] == ["broken"]


async def test_the_body_of_a_clustering_is_passed_on_unchanged() -> None:
    async with client() as api:
        answer = await api.post("/v1/cluster", content=b"x" * 1000)
    assert answer.json() == {"bytes": 1000}


async def test_a_vision_model_gets_a_small_jpeg_without_metadata() -> None:
    models = Doubles()
    async with client(models=models) as api:
        answer = await api.post("/v1/analyze/llm", json={"image": DATA, "ref_id": "r1", "language": "Dutch"})
    assert answer.status_code == 200
    assert answer.json()["ref_id"] == "r1"
    assert (answer.json()["model_used"], answer.json()["tokens_used"]) == ("test/llm-1", 42)
    (question,) = models.llm.questions
    assert question.jpeg.startswith(b"\xff\xd8")
    assert (question.language, question.max_tokens) == ("Dutch", 500)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": DATA, "image_url": "https://example.com/a.png"},
        {"image": DATA, "max_tokens": 99},
    ],
)
async def test_invalid_vision_requests_are_refused(body: dict[str, Any]) -> None:
    async with client() as api:
        assert (await api.post("/v1/analyze/llm", json=body)).status_code == 422


async def test_health_names_every_model_and_is_degraded_without_one() -> None:
    models = Doubles()
    async with client(models=models) as api:
        whole = (await api.get("/v1/health")).json()
        names = {model["name"] for model in whole["models"]}

        async def away() -> Any:
            return type(await models.clip.state())(None, 0, "no replica")

        models.quality.state = away  # type: ignore[method-assign]
        part = await api.get("/health")
    assert names == {
        "clip", "blur", "pyiqa_brisque", "deepface", "tagger", "captioner", "detector", "text", "video", "clusterer",
        "llm",
    }  # fmt: skip
    assert whole["status"] == "ok"
    assert (part.status_code, part.json()["status"]) == (200, "degraded")
