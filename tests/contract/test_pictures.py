"""/v1/caption, /v1/tags and /v1/objects over HTTP: the bundled weights on drawn scenes, and what is no image."""

import base64

import httpx
import pytest

from jobs.drawing.arrangement import Arrangement, arranged
from jobs.drawing.wording import groups, parsed
from jobs.evaluation import labelled_scenes
from jobs.scenes import Split, generator
from tests.contract.pictures import JPEG, UNUSUAL, inline
from tests.doubles.images import ImageServer
from tests.unit.test_images import encoded, png_header

ROUTES = ("caption", "tags", "objects")


def arrangement(index: int, things: int) -> Arrangement:
    return arranged(generator(Split.EVALUATION, 8, index), things)


def ask(api: httpx.Client, route: str, data: bytes) -> httpx.Response:
    return api.post(f"/v1/{route}", json={"image": inline(data)})


def test_a_caption_says_what_is_there(api: httpx.Client) -> None:
    drawn = [arrangement(index, 1 + index % 2) for index in range(12)]
    captions = [ask(api, "caption", encoded(one.image, "PNG")).json()["caption"] for one in drawn]
    right = [parsed(caption) == groups(one.things) for caption, one in zip(captions, drawn, strict=True)]
    assert sum(right) >= 9, captions


def test_objects_lie_where_they_are_drawn(api: httpx.Client) -> None:
    near = 0
    for index in range(10):
        drawn = arrangement(index, 1)
        body = ask(api, "objects", encoded(drawn.image, "PNG")).json()
        assert (body["width_px"], body["height_px"]) == drawn.image.size
        assert body["model"] == "bundled/florence2-scenes-v1"
        assert sum(body["counts"].values()) == len(body["objects"])
        (thing,) = drawn.things
        left, top, right, bottom = thing.box
        for found in body["objects"]:
            x, y = found["region"]["x"], found["region"]["y"]
            ends = (x, y, x + found["region"]["w"], y + found["region"]["h"])
            slack = 0.12 * max(drawn.image.size)
            near += found["label"] == thing.name and all(
                abs(end - edge) < slack for end, edge in zip(ends, (left, top, right, bottom), strict=True)
            )
    assert near >= 8


def test_tags_are_right(api: httpx.Client) -> None:
    scenes = [scene for scene in labelled_scenes(12, 3) if scene.kind.startswith("drawing/")]
    found = [ask(api, "tags", encoded(scene.image, "PNG")).json()["tags"] for scene in scenes]
    right = [tags[0]["label"] == scene.kind.removeprefix("drawing/") for tags, scene in zip(found, scenes, strict=True)]
    assert sum(right) >= len(scenes) - 1
    assert all(len(tags) == 5 for tags in found)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_images_are_images(api: httpx.Client, route: str, data: bytes) -> None:
    answer = ask(api, route, data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["image_id"] == "photo"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("data", "status"),
    [(b"", 400), (b"text", 400), (JPEG[: len(JPEG) // 2], 400), (png_header(20_000, 5_001), 413)],
    ids=["empty", "text", "half", "bomb"],
)
def test_what_is_no_image(api: httpx.Client, route: str, data: bytes, status: int) -> None:
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
def test_json_that_is_no_request(api: httpx.Client, route: str) -> None:
    for body in (b"", b"{", b"[]", b'{"image": 1}', b'{"image": {"data": "AAAA"}, "more": 1}'):
        answer = api.post(f"/v1/{route}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, body
        assert answer.json().keys() == {"error", "message", "detail"}


def test_base64_that_is_none(api: httpx.Client) -> None:
    answer = api.post("/v1/tags", json={"image": {"data": base64.b64encode(JPEG).decode()[:-2] + "@@"}})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
