"""Family E over HTTP: uploads processed by the served models, search, and bad input."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from testbed.pictures.images import encoded, heic, png_header
from tests.contract.asking import finished, statistics, upload
from tests.contract.conftest import Catalogued
from tests.contract.pictures import JPEG


def test_an_upload_is_processed_shown_found_and_deleted(catalogued: Catalogued, catalogue: httpx.Client) -> None:
    before = statistics(catalogue)
    image_id = upload(catalogue, JPEG, "../china.jpg")
    body = finished(catalogue, image_id)
    data = body["data"]
    width, height = Image.open(io.BytesIO(JPEG)).size
    assert (body["status"], body["error"], data["filename"]) == ("processed", None, "china.jpg")
    facts = {"width": width, "height": height, "format": "JPEG", "size_bytes": len(JPEG)}
    assert data["metadata"].items() >= facts.items()
    assert data["caption"]
    assert len(data["tags"]) == catalogued.tags
    for size, most in (("small", 150), ("medium", 300)):
        picture = catalogue.get(body["thumbnails"][size])
        assert max(Image.open(io.BytesIO(picture.content)).size) == most
        assert (
            catalogue.get(body["thumbnails"][size], headers={"If-None-Match": picture.headers["ETag"]}).status_code
            == 304
        )
        inline = catalogue.get(f"/api/images/{image_id}/thumbnails/{size}", headers={"Accept": "image/*"})
        assert inline.content == picture.content
    assert catalogue.get(f"/api/images/{image_id}/file").content == JPEG
    like = catalogue.post("/api/images/search?k=1", files={"file": ("again.jpg", JPEG)}).json()["results"]
    assert like[0]["score"] > 0.97
    assert statistics(catalogue)["processed_images"] == before["processed_images"] + 1
    assert catalogue.delete(f"/api/images/{image_id}").status_code == 204
    assert catalogue.get(f"/api/images/{image_id}").json() == {"error": "Image not found"}
    assert statistics(catalogue) == before


def test_a_phone_s_picture_is_kept_and_shown_as_a_jpeg(catalogued: Catalogued, catalogue: httpx.Client) -> None:
    photo = Image.open(io.BytesIO(JPEG))
    data = heic(photo)
    image_id = upload(catalogue, data, "IMG_0001.HEIC")
    body = finished(catalogue, image_id)
    metadata = body["data"]["metadata"]
    assert (body["status"], metadata["format"], metadata["size_bytes"]) == ("processed", "HEIC", len(data))
    assert (metadata["width"], metadata["height"]) == photo.size
    assert body["data"]["caption"]
    assert len(body["data"]["tags"]) == catalogued.tags
    assert Image.open(io.BytesIO(catalogue.get(body["thumbnails"]["medium"]).content)).format == "JPEG"
    path = f"/api/images/{image_id}/file"
    original = catalogue.get(path)
    assert (original.content, original.headers["Content-Type"]) == (data, "image/heic")
    for _ in range(2):
        shown = Image.open(
            io.BytesIO(catalogue.get(path, headers={"Accept": "image/avif,image/webp,*/*;q=0.8"}).content)
        )
        assert (shown.format, shown.size) == ("JPEG", photo.size)
    like = catalogue.post("/api/images/search?k=1", files={"file": ("photo.jpg", JPEG)}).json()["results"]
    assert like[0]["score"] > 0.97
    assert catalogue.delete(f"/api/images/{image_id}").status_code == 204


@pytest.mark.parametrize(
    ("files", "status", "message"),
    [
        (None, 400, "No file uploaded."),
        ({"file": ("a.txt", b"text")}, 400, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.png", encoded(Image.new("RGB", (4, 4)), "GIF"))}, 400, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.jpg", JPEG[: len(JPEG) // 2])}, 400, "Broken or corrupted image file."),
        ({"file": ("a.png", b"")}, 400, "Broken or corrupted image file."),
        ({"file": ("a.png", png_header(20_000, 7_501))}, 413, None),
    ],
)
def test_bad_uploads_leave_nothing(
    catalogue: httpx.Client, files: dict[str, Any] | None, status: int, message: str | None
) -> None:
    before = statistics(catalogue)
    answer = catalogue.post("/api/images", files=files)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert message is None or answer.json()["error"] == message
    assert statistics(catalogue) == before


@pytest.mark.parametrize("name", ["../../x.png", "a" * 300 + ".png", "größe 图.png", "a\u202egnp.exe", "<img src=x>"])
def test_hostile_file_names(catalogue: httpx.Client, name: str) -> None:
    image_id = upload(catalogue, encoded(Image.new("RGB", (4, 4)), "PNG"), name)
    kept = finished(catalogue, image_id)["data"]["filename"]
    assert "/" not in kept
    assert "\u202e" not in kept
    assert 0 < len(kept) <= 255
    assert catalogue.get(f"/api/images/{image_id}/file").status_code == 200
    catalogue.delete(f"/api/images/{image_id}")


def test_the_same_file_twice_at_once(catalogue: httpx.Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: upload(catalogue, JPEG), range(2))
    assert first != second
    assert finished(catalogue, first)["status"] == finished(catalogue, second)["status"] == "processed"
    assert catalogue.delete(f"/api/images/{first}").status_code == 204
    assert catalogue.get(f"/api/images/{second}/file").content == JPEG
    assert catalogue.delete(f"/api/images/{second}").status_code == 204
