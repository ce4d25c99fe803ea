"""Bad input over HTTP: each case gets its status and body, and the server still answers the next request."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from testbed.application import Application
from testbed.doubles.images import ImageServer
from testbed.pictures.images import encoded, png_header
from tests.contract.pictures import JPEG, UNUSUAL


@pytest.fixture(autouse=True)
def still_answers(api: httpx.Client) -> Iterator[None]:
    """Check after every test that the next good request is answered."""
    yield
    assert api.post("/classify", files={"file": ("china.jpg", JPEG)}).status_code == 200


def post(api: httpx.Client, data: bytes, name: str = "a.jpg") -> httpx.Response:
    return api.post("/classify", files={"file": (name, data)})


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_file"),
        (b"this is text, whatever its name says", 400, "invalid_image"),
        (JPEG[: len(JPEG) // 2], 400, "invalid_image"),
        (png_header(20_000, 7_501), 413, "image_too_large"),
        (png_header(100, 100), 400, "invalid_image"),
        (b"<html><img src=x></html>", 400, "invalid_image"),
    ],
    ids=["empty", "text", "truncated", "bomb", "no pixels", "html"],
)
def test_files_that_are_not_images_are_refused(api: httpx.Client, data: bytes, status: int, code: str) -> None:
    answer = post(api, data)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["detail"] == answer.json()["message"]
    assert answer.headers["X-Request-ID"]


def test_60_megabytes_are_refused(api: httpx.Client) -> None:
    answer = post(api, b"\xff\xd8\xff" + bytes(60_000_000))
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_60_megabytes_without_a_content_length_are_refused(api: httpx.Client) -> None:
    def stream() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        for _ in range(60):
            yield bytes(1_000_000)
        yield b"\r\n--x--\r\n"

    answer = api.post("/classify", content=stream(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


@pytest.mark.parametrize("files", [{"image": ("a.jpg", JPEG)}, None])
def test_a_wrong_field_is_422(api: httpx.Client, files: Any) -> None:
    answer = api.post("/classify", files=files)
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")
    assert answer.json()["detail"][0]["loc"] == ["body", "file"]


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_images_are_accepted(api: httpx.Client, data: bytes) -> None:
    assert post(api, data, name="no extension").status_code == 200


def test_a_rotated_photo_gets_the_answer_of_the_upright_one(api: httpx.Client) -> None:
    upright = Image.open(io.BytesIO(JPEG)).transpose(Image.Transpose.ROTATE_270)
    expected = post(api, encoded(upright, "PNG")).json()["probabilities"]
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.open(io.BytesIO(JPEG)), "JPEG", exif=exif, quality=98, subsampling=0)
    assert post(api, data).json()["probabilities"] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("c.json", b"{not json", "Invalid json file, please check the syntax of c.json"),
        ("c.json", b"\x89PNG\r\n", "Invalid encoding in file c.json, valid encodings are UTF-8 and US-ASCII"),
        (
            "c.json",
            json.dumps(["word " * 78]).encode(),
            "One of your categories is too long, maximum number of characters per category is 77",
        ),
        ("c.csv", b"", "No category found in file c.csv, please give at least one"),
        ("c.exe", b"a,b", "Invalid extension, allowed extensions are: ['csv', 'json']"),
    ],
)
@pytest.mark.parametrize("route", ["/categorize", "/image"])
def test_unusable_categories_are_refused(api: httpx.Client, route: str, name: str, content: bytes, text: str) -> None:
    answer = api.post(route, files=[("files", ("a.jpg", JPEG)), ("categories", (name, content))])
    assert (answer.status_code, answer.json()) == (400, {"error": text})


def test_a_category_of_exactly_77_tokens_is_used(api: httpx.Client) -> None:
    categories = json.dumps(["word " * 75, "a house"]).encode()
    answer = api.post("/categorize", files=[("files", ("a.jpg", JPEG)), ("categories", ("c.json", categories))])
    assert answer.status_code == 201


def test_one_broken_image_among_good_ones_is_named(api: httpx.Client) -> None:
    files = [("files", ("good.jpg", JPEG)), ("files", ("bad.PNG", JPEG[:1000]))]
    answer = api.post("/categorize", files=files)
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid image, the file bad.PNG seems to be broken"})


def by_url(api: httpx.Client, url: str) -> httpx.Response:
    return api.post("/v1/classify", json={"image": {"url": url}, "labels": ["a", "b"]})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/health",
        "http://localhost/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ],
)
def test_urls_that_are_not_public_are_refused(api: httpx.Client, url: str) -> None:
    answer = by_url(api, url)
    assert (answer.status_code, answer.json()["error"]) == (400, "url_refused")


@pytest.mark.parametrize("target", ["http://10.0.0.1/a.jpg", "http://localhost:1/a.jpg", "ftp://127.0.0.2/a.jpg"])
def test_a_redirect_to_an_address_that_is_not_public_is_refused(
    api: httpx.Client, image_server: ImageServer, target: str
) -> None:
    answer = by_url(api, f"{image_server.url}/redirect/{target}")
    assert (answer.status_code, answer.json()["error"]) == (400, "url_refused")


def test_an_endless_body_is_cut_at_the_limit(api: httpx.Client, image_server: ImageServer) -> None:
    answer = by_url(api, f"{image_server.url}/endless")
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert image_server.cut.wait(10)


def test_a_host_that_never_answers_is_a_timeout(api: httpx.Client, image_server: ImageServer) -> None:
    answer = by_url(api, f"{image_server.url}/hang")
    assert (answer.status_code, answer.json()["error"]) == (504, "fetch_timeout")


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"image": 1, "labels": []}', b"\xff"])
def test_invalid_json_requests_are_refused(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert {"error", "message", "detail"} == set(answer.json())


def test_invalid_base64_is_refused(api: httpx.Client) -> None:
    answer = api.post("/v1/classify", json={"image": {"data": "@@@"}, "labels": ["a"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_base64_of_too_many_pixels_is_refused(api: httpx.Client) -> None:
    image = {"data": base64.b64encode(png_header(20_000, 7_501)).decode()}
    answer = api.post("/v1/classify", json={"image": image, "labels": ["a"]})
    assert (answer.status_code, answer.json()["error"]) == (413, "image_too_large")


def test_a_form_without_a_boundary_is_refused(panoptes: Application, api: httpx.Client) -> None:
    for route in ("/classify", "/categorize"):
        answer = api.post(route, content=b"x", headers={"Content-Type": "multipart/form-data"})
        assert 400 <= answer.status_code < 500, (route, answer.text)
