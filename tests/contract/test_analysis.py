"""Family C over HTTP: real models on real photos, partial answers, batches, streams."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageFilter

from testbed.application import Application
from testbed.doubles.images import ImageServer
from testbed.pictures.images import encoded, png_header
from tests.contract.asking import ask_llm, blobs, leave
from tests.contract.pictures import JPEG, UNUSUAL, inline

NAMES = ("blur", "quality", "emotion", "embedding", "classification", "caption", "tags", "objects")
ALL = {f"run_{name}": True for name in NAMES}


def analyze(api: httpx.Client, data: bytes, **flags: bool) -> dict[str, Any]:
    answer = api.post("/v1/analyze", json={"image": inline(data)} | (flags or ALL))
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]  # type: ignore[no-any-return]


def test_a_real_photo_gives_every_field(api: httpx.Client) -> None:
    answer = api.post("/v1/analyze", json={"image": inline(JPEG)} | ALL)
    result = answer.json()["result"]
    assert (result["error"], result["width_px"], result["height_px"]) == (None, 640, 427)
    assert result["blur"]["laplacian_variance"] > result["blur"]["blur_threshold"] == 100
    assert not result["blur"]["is_blurry"]
    assert 1 <= result["quality"]["nima_technical_score"] <= 10
    assert 1 <= result["aesthetic"]["nima_aesthetic_score"] <= 10
    assert result["emotion"] is None
    vector = np.array(result["embedding"]["vector"])
    assert result["embedding"]["dimensions"] == 512
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert sum(result["classification"]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    weights = answer.headers["X-Panoptes-Weights"]
    assert result["caption"]["text"]
    assert len(result["tags"]["tags"]) == 5
    assert result["objects"]["counts"].keys() == {thing["label"] for thing in result["objects"]["objects"]}
    served = ("clip", "deepface", "pyiqa_brisque", "pyiqa_nima_technical", "pyiqa_nima_aesthetic")
    for name in (*served, "tagger", "captioner", "detector"):
        assert f"{name}=bundled/" in weights


def test_the_embedding_and_the_decision_are_those_of_the_other_routes(api: httpx.Client) -> None:
    result = analyze(api, JPEG)
    answer = api.post(
        "/v1/embeddings", json={"modality": "image", "input": f"data:image/jpeg;base64,{inline(JPEG)['data']}"}
    )
    vector = np.array(answer.json()["data"][0]["embedding"])
    assert float(vector @ np.array(result["embedding"]["vector"])) > 0.99
    other = api.post("/classify", files={"file": ("a.jpg", JPEG)}).json()
    assert other["classification"] == result["classification"]["classification"]


def test_a_blurred_photo_is_blurry(api: httpx.Client) -> None:
    photo = Image.open(BytesIO(JPEG)).convert("RGB")
    sharp = analyze(api, encoded(photo, "PNG"))
    soft = analyze(api, encoded(photo.filter(ImageFilter.GaussianBlur(6)), "PNG"))
    for figure in ("laplacian_variance", "normalized_laplacian_variance"):
        assert soft["blur"][figure] < sharp["blur"][figure] / 4
    assert soft["blur"]["is_blurry"]


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_images_are_analyzed(api: httpx.Client, data: bytes) -> None:
    result = analyze(api, data)
    assert result["blur"]
    assert result["embedding"]
    assert result["error"] is None or result["error"].startswith("quality: the image is too small or has no texture")


@pytest.mark.parametrize(
    "data",
    [b"", b"this is text", JPEG[: len(JPEG) // 2], png_header(100, 100)],
    ids=["empty", "text", "truncated", "no pixels"],
)
def test_a_file_that_is_not_an_image_is_an_error_in_its_result(api: httpx.Client, data: bytes) -> None:
    result = analyze(api, data)
    assert result["error"].startswith("ImageDecodeError: ")
    assert result["blur"] is result["embedding"] is result["width_px"] is None


def test_limits(api: httpx.Client) -> None:
    bomb = api.post("/v1/analyze", json={"image": inline(png_header(20_000, 7_501))})
    large = api.post("/v1/analyze", json={"image": inline(b"\xff\xd8\xff" + bytes(60_000_000))})
    assert (bomb.status_code, bomb.json()["error"]) == (413, "image_too_large")
    assert (large.status_code, large.json()["error"]) == (413, "payload_too_large")


def by_url(api: httpx.Client, url: str) -> dict[str, Any]:
    answer = api.post("/v1/analyze", json={"image": {"url": url}})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]  # type: ignore[no-any-return]


def test_by_url(api: httpx.Client, image_server: ImageServer) -> None:
    image_server.files["photo.jpg"] = JPEG
    result = by_url(api, f"{image_server.url}/file/photo.jpg")
    assert (result["error"], result["source_url"]) == (None, f"{image_server.url}/file/photo.jpg")
    assert by_url(api, "http://127.0.0.1:8000/")["error"].startswith("UrlRefused: ")
    assert by_url(api, f"{image_server.url}/redirect/http://10.0.0.1/a.jpg")["error"].startswith("UrlRefused: ")
    assert by_url(api, f"{image_server.url}/hang")["error"].startswith("ImageFetchError: ")


def test_a_batch_keeps_its_order_and_each_error_stays_with_its_image(api: httpx.Client) -> None:
    images = [inline(JPEG, "a"), inline(b"no image", "b"), inline(png_header(20_000, 7_501), "c"), inline(JPEG, "d")]
    answer = api.post("/v1/analyze/batch", json={"images": images} | ALL)
    body = answer.json()
    assert (answer.status_code, body["total"], body["succeeded"], body["failed"]) == (200, 4, 2, 2)
    assert [result["image_id"] for result in body["results"]] == ["a", "b", "c", "d"]
    assert body["results"][0]["quality"] == body["results"][3]["quality"]
    assert body["results"][2]["error"].startswith("ImageTooLarge: ")
    assert api.post("/v1/analyze/batch", json={"images": [inline(JPEG)] * 21}).status_code == 422


def test_a_streamed_batch_comes_line_by_line(api: httpx.Client, image_server: ImageServer) -> None:
    body = {"images": [{"url": f"{image_server.url}/hang", "image_id": "hangs"}, inline(JPEG, "quick")]}
    started = time.monotonic()
    with api.stream("POST", "/v1/analyze/batch", json=body, headers={"Accept": "application/x-ndjson"}) as stream:
        assert stream.headers["Content-Type"].startswith("application/x-ndjson")
        arrived = [(json.loads(line)["image_id"], time.monotonic() - started) for line in stream.iter_lines()]
    assert [name for name, _ in arrived] == ["quick", "hangs"]
    assert arrived[1][1] - arrived[0][1] > 1  # the first result was sent before the second was ready


def test_models_and_health_name_everything(api: httpx.Client) -> None:
    names = {
        "clip",
        "blur",
        "pyiqa_brisque",
        "pyiqa_nima_technical",
        "pyiqa_nima_aesthetic",
        "deepface",
        "tagger",
        "captioner",
        "detector",
        "text",
        "video",
        "clusterer",
        "llm",
    }
    models = {model["name"]: model for model in api.get("/v1/models").json()["data"]}
    assert models.keys() == names
    assert "Noncommercial" in models["pyiqa_brisque"]["licence"]
    health = api.get("/v1/health").json()
    assert health["status"] in {"ok", "busy"}  # this machine may be
    assert {model["name"] for model in health["models"]} == names
    assert all(model["loaded"] and model["replicas"] == 1 for model in health["models"])


def test_a_killed_analyzer_costs_only_its_own_part(panoptes: Application, api: httpx.Client) -> None:
    killed = panoptes.replicas("Blur")[0]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 120
    while True:
        result = analyze(api, JPEG, run_blur=True, run_quality=False, run_emotion=False, run_embedding=True)
        assert result["embedding"]
        if result["error"] is None:
            break
        assert result["error"].startswith("blur: ")
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert panoptes.replicas("Blur")[0] != killed


def test_a_large_photo_goes_through_the_object_store(api: httpx.Client) -> None:
    """Its pixels exceed the size limit of a message, and arrive read-only."""
    photo = Image.open(BytesIO(JPEG)).resize((2400, 1600))
    result = analyze(api, encoded(photo, "JPEG"))
    assert (result["error"], result["width_px"]) == (None, 2400)
    assert result["blur"]
    assert result["quality"]
    assert result["embedding"]
    vectors = blobs(2000, 128)
    body = {"embeddings": vectors.tolist(), "image_ids": [str(index) for index in range(2000)]}
    assert api.post("/v1/cluster", json=body).json()["total_images"] == 2000


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
def test_an_extremely_narrow_image_is_analyzed(api: httpx.Client, size: tuple[int, int]) -> None:
    result = analyze(api, encoded(Image.new("RGB", size, "teal"), "PNG"))
    assert result["blur"]
    assert 1 <= result["aesthetic"]["nima_aesthetic_score"] <= 10


def test_clients_that_disconnect_free_their_slots(
    panoptes: Application, api: httpx.Client, image_server: ImageServer
) -> None:
    hanging = {"url": f"{image_server.url}/hang"}
    for _ in range(3):
        leave(panoptes, "/v1/analyze/batch", {"images": [hanging] * 20})
        leave(panoptes, "/v1/analyze/batch", {"images": [hanging] * 20}, "Accept: application/x-ndjson\r\n")
        leave(panoptes, "/v1/analyze", {"image": hanging})
    # More images were abandoned than may be in flight: if they still held their slots, this request would wait.
    assert analyze(api, JPEG)["error"] is None


@pytest.mark.parametrize("route", ["/v1/analyze", "/v1/analyze/batch", "/v1/analyze/llm"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"image": 1}', b'{"images": 1}', b"\xff"])
def test_invalid_requests_are_refused(api: httpx.Client, route: str, body: bytes) -> None:
    answer = api.post(route, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert {"error", "message", "detail"} == set(answer.json())


def test_200_mixed_requests_at_16_clients(panoptes: Application, api: httpx.Client) -> None:
    vectors = blobs(50).tolist()
    ids = [str(index) for index in range(50)]

    def send(number: int) -> int:
        kind = number % 5
        if kind == 0:
            return api.post("/classify", files={"file": ("a.jpg", JPEG)}).status_code
        if kind == 1:
            return api.post("/v1/cluster", json={"embeddings": vectors, "image_ids": ids}).status_code
        if kind == 2:
            images = [inline(JPEG, "a"), inline(b"broken", "b")]
            return api.post("/v1/analyze/batch", json={"images": images, "run_emotion": False}).status_code
        if kind == 3:
            return ask_llm(api, "good").status_code
        return api.post("/v1/analyze", json={"image": inline(JPEG)} | ALL).status_code

    def round_of(count: int) -> int:
        """The memory in use after this many requests, in bytes."""
        with ThreadPoolExecutor(16) as clients:
            assert set(clients.map(send, range(count))) == {200}
        return panoptes.memory_bytes()

    before = round_of(60)  # by then every buffer has reached its largest size
    after = round_of(200)
    print(f"memory: {before / 1e9:.2f} GB, after 200 requests {(after - before) / 1e6:+.0f} MB")
    assert after - before < 150e6
