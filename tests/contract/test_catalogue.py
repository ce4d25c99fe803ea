"""Family E over HTTP: uploads on their way through the served models, search, bad input, and killed processes."""

import io
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from benchmarks.application import Application
from jobs.evaluation import labelled_scenes
from tests.contract.pictures import JPEG
from tests.unit.test_images import encoded, png_header


def upload(api: httpx.Client, data: bytes, name: str = "a.jpg") -> int:
    answer = api.post("/api/images", files={"file": (name, data)})
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"image_id", "status"}
    return int(answer.json()["image_id"])


def finished(api: httpx.Client, image_id: int, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        answer = api.get(f"/api/images/{image_id}")
        if answer.status_code != 503 and (body := answer.json())["status"] != "processing":
            return body  # type: ignore[no-any-return]
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def statistics(api: httpx.Client) -> dict[str, int]:
    return api.get("/api/stats").json()["images"]  # type: ignore[no-any-return]


def replicas(panoptes: Application, deployment: str) -> list[int]:
    """The processes of a deployment."""
    title = f"ServeReplica:panoptes:{deployment}".encode()
    return [pid for pid in panoptes.pids() if title in _title(pid)]


def kill(panoptes: Application, deployment: str) -> None:
    """End every process of a deployment, once there is one."""
    deadline = time.monotonic() + 60
    while not (found := replicas(panoptes, deployment)):
        assert time.monotonic() < deadline, f"{deployment} was not replaced"
        time.sleep(0.2)
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_an_upload_is_processed_shown_found_and_deleted(api: httpx.Client) -> None:
    before = statistics(api)
    started = time.monotonic()
    image_id = upload(api, JPEG, "../china.jpg")
    body = finished(api, image_id)
    assert time.monotonic() - started < 20
    data = body["data"]
    width, height = Image.open(io.BytesIO(JPEG)).size
    assert (body["status"], body["error"], data["filename"]) == ("processed", None, "china.jpg")
    facts = {"width": width, "height": height, "format": "JPEG", "size_bytes": len(JPEG)}
    assert data["metadata"].items() >= facts.items()
    assert data["caption"]
    assert len(data["tags"]) == 5
    for size, most in (("small", 150), ("medium", 300)):
        picture = api.get(body["thumbnails"][size])
        assert max(Image.open(io.BytesIO(picture.content)).size) == most
        assert api.get(body["thumbnails"][size], headers={"If-None-Match": picture.headers["ETag"]}).status_code == 304
        inline = api.get(f"/api/images/{image_id}/thumbnails/{size}", headers={"Accept": "image/*"})
        assert inline.content == picture.content
    assert api.get(f"/api/images/{image_id}/file").content == JPEG
    like = api.post("/api/images/search?k=1", files={"file": ("again.jpg", JPEG)}).json()["results"]
    assert like[0]["score"] > 0.97
    assert statistics(api)["processed_images"] == before["processed_images"] + 1
    assert api.delete(f"/api/images/{image_id}").status_code == 204
    assert api.get(f"/api/images/{image_id}").json() == {"error": "Image not found"}
    assert statistics(api) == before


def test_a_street_map_is_found_first_among_drawn_scenes(api: httpx.Client) -> None:
    scenes = list(labelled_scenes(60, 3))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda scene: upload(api, encoded(scene.image, "PNG"), "scene.png"), scenes))
    labels = dict(zip(ids, (scene.label for scene in scenes), strict=True))
    for image_id in ids:
        assert finished(api, image_id, 180)["status"] == "processed"
    found = api.get("/api/images/search", params={"q": "a street map", "k": 5}).json()["results"]
    assert [labels.get(hit["id"]) for hit in found] == ["a street map"] * 5
    assert [hit["score"] for hit in found] == sorted((hit["score"] for hit in found), reverse=True)
    for image_id in ids:
        assert api.delete(f"/api/images/{image_id}").status_code == 204


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        (None, 400, "No file uploaded."),
        ({"file": ("a.txt", b"text")}, 400, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.png", encoded(Image.new("RGB", (4, 4)), "GIF"))}, 400, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.jpg", JPEG[: len(JPEG) // 2])}, 400, "Broken or corrupted image file."),
        ({"file": ("a.png", b"")}, 400, "Broken or corrupted image file."),
        ({"file": ("a.png", png_header(20_000, 5_001))}, 413, None),
    ],
)
def test_bad_uploads_leave_nothing(
    api: httpx.Client, files: dict[str, Any] | None, status: int, message: str | None
) -> None:
    before = statistics(api)
    answer = api.post("/api/images", files=files)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert message is None or answer.json()["error"] == message
    assert statistics(api) == before


@pytest.mark.parametrize("name", ["../../x.png", "a" * 300 + ".png", "größe 图.png", "a\u202egnp.exe", "<img src=x>"])
def test_names_of_strangers(api: httpx.Client, name: str) -> None:
    image_id = upload(api, encoded(Image.new("RGB", (4, 4)), "PNG"), name)
    kept = finished(api, image_id)["data"]["filename"]
    assert "/" not in kept
    assert "\u202e" not in kept
    assert 0 < len(kept) <= 255
    assert api.get(f"/api/images/{image_id}/file").status_code == 200
    api.delete(f"/api/images/{image_id}")


def test_the_same_file_twice_at_once(api: httpx.Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: upload(api, JPEG), range(2))
    assert first != second
    assert finished(api, first)["status"] == finished(api, second)["status"] == "processed"
    assert api.delete(f"/api/images/{first}").status_code == 204
    assert api.get(f"/api/images/{second}/file").content == JPEG
    assert api.delete(f"/api/images/{second}").status_code == 204


def test_nothing_is_lost_when_workers_and_models_are_killed(panoptes: Application, api: httpx.Client) -> None:
    before, accepted = statistics(api), list[int]()
    for number in range(40):
        picture = encoded(Image.new("RGB", (64, 48), (number * 6, 40, 200 - number)), "PNG")
        accepted.append(upload(api, picture, f"{number}.png"))
        if number % 10 == 5:
            kill(panoptes, "Cataloguer" if number % 20 == 5 else "Captioner")
    for image_id in accepted:
        assert finished(api, image_id, 300)["status"] == "processed"
    now = statistics(api)
    assert now["processed_images"] == before["processed_images"] + 40
    assert (now["failed_images"], now["processing_images"]) == (before["failed_images"], 0)
    for image_id in accepted:
        assert api.delete(f"/api/images/{image_id}").status_code == 204
