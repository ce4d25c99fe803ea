"""/v1/caption, /v1/tags, /v1/objects and /v1/text over HTTP: drawn scenes, a page, a map, and bad input."""

import base64

import httpx
import pytest

from configs.project import PROJECT
from testbed.accuracy.descriptions import ask_captions, ask_objects, ask_tags, few
from testbed.doubles.images import ImageServer
from testbed.pictures.images import encoded, png_header
from tests.contract.pictures import JPEG, UNUSUAL, inline
from tests.models.test_text import DUTCH, page

SEED = 41
ROUTES = ("caption", "tags", "objects", "text")


def ask(api: httpx.Client, route: str, data: bytes) -> httpx.Response:
    return api.post(f"/v1/{route}", json={"image": inline(data)})


def test_tags_are_right(api: httpx.Client) -> None:
    assert ask_tags(api, 92, SEED).share >= 0.85


def test_captions_name_what_is_drawn(api: httpx.Client) -> None:
    assert few(ask_captions(api, 100, SEED)) >= 0.75


def test_objects_are_found_where_they_are_drawn(api: httpx.Client) -> None:
    figures = ask_objects(api, 60, SEED)
    assert figures.accuracy >= 0.75
    assert figures.overlap >= 0.6


def test_a_drawn_page_is_read(api: httpx.Client) -> None:
    said = ask(api, "text", encoded(page(DUTCH), "PNG")).json()
    assert [line["text"] for line in said["lines"]] == DUTCH
    assert said["model"] == "rapidocr/pp-ocrv6-small"
    analysis = {"image": inline(encoded(page(DUTCH), "PNG")), "run_text": True}
    among = api.post("/v1/analyze", json=analysis).json()["result"]["text"]
    assert among == {"model": said["model"], "lines": said["lines"]}


def test_the_names_on_a_street_map_are_read(api: httpx.Client) -> None:
    lines = ask(api, "text", (PROJECT / "examples" / "street_map.jpg").read_bytes()).json()["lines"]
    assert len(lines) >= 3
    assert all(0 <= x <= 436 and 0 <= y <= 315 for line in lines for x, y in line["quadrilateral"])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_images_are_accepted(api: httpx.Client, route: str, data: bytes) -> None:
    answer = ask(api, route, data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["image_id"] == "photo"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", 400), (b"text", 400), (JPEG[: len(JPEG) // 2], 400), (png_header(20_000, 7_501), 413)],
    ids=["empty", "text", "half", "bomb"],
)
def test_files_that_are_not_images_are_refused(api: httpx.Client, route: str, data: bytes, status: int) -> None:
    assert ask(api, route, data).status_code == status


@pytest.mark.parametrize("route", ROUTES)
def test_by_url(api: httpx.Client, image_server: ImageServer, route: str) -> None:
    image_server.files["photo.jpg"] = JPEG
    by_url = api.post(f"/v1/{route}", json={"image": {"url": f"{image_server.url}/file/photo.jpg"}})
    inside = {key: value for key, value in ask(api, route, JPEG).json().items() if key != "image_id"}
    assert by_url.json() == inside | {"image_id": None}
    refused = api.post(f"/v1/{route}", json={"image": {"url": "http://127.0.0.1/"}})
    assert (refused.status_code, refused.json()["error"]) == (400, "url_refused")


@pytest.mark.parametrize("route", ROUTES)
def test_invalid_requests_are_refused(api: httpx.Client, route: str) -> None:
    for body in (b"", b"{", b"[]", b'{"image": 1}', b'{"image": {"data": "AAAA"}, "more": 1}'):
        answer = api.post(f"/v1/{route}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, body
        assert answer.json().keys() == {"error", "message", "detail"}


def test_invalid_base64_is_refused(api: httpx.Client) -> None:
    answer = api.post("/v1/tags", json={"image": {"data": base64.b64encode(JPEG).decode()[:-2] + "@@"}})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
