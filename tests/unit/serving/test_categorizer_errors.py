"""The error texts of the earlier categorizer, as whole strings, on every route that can give them."""

import json
from typing import Any

import pytest
from PIL import Image

from serve_app.http.errors import InvalidPrompt, InvalidVideo
from testbed.paths import shared
from testbed.pictures.images import encoded
from tests.unit.serving.api import Doubles, client

PNG = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
FILM = b"FLV" + bytes([100, 7])

File = tuple[str, tuple[str, bytes]]
IMAGE: File = ("files", ("a.png", PNG))
VIDEO: File = ("video", ("a.mp4", FILM))
GOOD: dict[str, File] = {"/categorize": IMAGE, "/image": IMAGE, "/video": VIDEO}
ROUTES = sorted(GOOD)


def categories(name: str, data: bytes) -> File:
    return ("categories", (name, data))


NAMES = categories("c.json", b'["a", "bb"]')


def text(error: str, **names: str) -> str:
    contract = json.loads(shared("contract/B_errors_and_shapes.json").read_bytes())
    found: str = contract["errors"][error]
    for place, name in names.items():
        found = found.replace(place, name)
    return found


async def error_of(route: str, *files: File, models: Doubles | None = None) -> str:
    async with client(models=models) as api:
        answer = await api.post(route, files=[*files] or None)
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text
    return answer.json()["error"]  # type: ignore[no-any-return]


def missing(what: str) -> str:
    return text("missing_special").replace("{categories|video}", what)


@pytest.mark.parametrize("route", ["/image", "/video"])
async def test_no_categories(route: str) -> None:
    assert await error_of(route, GOOD[route]) == missing("categories")


@pytest.mark.parametrize("files", [[], [NAMES]])
async def test_no_video(files: list[File]) -> None:
    assert await error_of("/video", *files) == missing("video")


@pytest.mark.parametrize("files", [[], [NAMES]])
@pytest.mark.parametrize("route", ["/categorize", "/image"])
async def test_no_image(route: str, files: list[File]) -> None:
    assert await error_of(route, *files) == text("no_images")


@pytest.mark.parametrize("name", ["a.gif", "a.png.txt", "png", "a", "a.heic", "a.jpe", "a.mp4"])
@pytest.mark.parametrize("route", ["/categorize", "/image"])
async def test_the_extension_of_an_image(route: str, name: str) -> None:
    assert await error_of(route, IMAGE, ("files", (name, PNG)), NAMES) == text("bad_ext_images")


@pytest.mark.parametrize("name", ["a.avi", "a.mov", "a.mp4.txt", "a.m4v", "a", "a.png"])
async def test_the_extension_of_a_video(name: str) -> None:
    assert await error_of("/video", ("video", (name, FILM)), NAMES) == text("bad_ext_video")


@pytest.mark.parametrize("name", ["c.txt", "c.tsv", "c.json.bak", "c", "c.xlsx"])
@pytest.mark.parametrize("route", ROUTES)
async def test_the_extension_of_categories(route: str, name: str) -> None:
    assert await error_of(route, GOOD[route], categories(name, b"a,b")) == text("bad_ext_categories")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.csv", b"caf\xe9"),
        ("C.CSV", "a,b".encode("utf-16")),
        ("c.json", b'["caf\xe9"]'),
        ("naïve.json", '["a"]'.encode("utf-16")),
        ("c.csv", PNG),
    ],
)
@pytest.mark.parametrize("route", ROUTES)
async def test_the_encoding_of_categories(route: str, name: str, data: bytes) -> None:
    expected = text("bad_encoding", **{"{name}": name})
    assert await error_of(route, GOOD[route], categories(name, data)) == expected


@pytest.mark.parametrize(
    ("name", "data"),
    [("c.json", b"{"), ("my list.JSON", b"a,b"), ("c.json", b""), ("c.json", b'{"a": 1}'), ("c.json", b"[1]")],
)
@pytest.mark.parametrize("route", ROUTES)
async def test_the_syntax_of_categories(route: str, name: str, data: bytes) -> None:
    assert await error_of(route, GOOD[route], categories(name, data)) == text("bad_json", **{"{name}": name})


@pytest.mark.parametrize(
    ("name", "data"),
    [("a b.PNG", PNG[:70]), ("naïve.jpg", b""), ("a.jpeg", b"this is text"), ("C:\\photos\\a.png", bytes(100))],
)
@pytest.mark.parametrize("route", ["/categorize", "/image"])
async def test_a_broken_image(route: str, name: str, data: bytes) -> None:
    expected = text("broken_image", **{"{name}": name.rpartition("\\")[2]})
    assert await error_of(route, IMAGE, ("files", (name, data)), NAMES) == expected


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("my film.MP4", b""),
        ("naïve.mp4", b"this is text"),
        ("picture.mp4", PNG),
        ("C:\\films\\a.mp4", b"\0\0\0\x18ftypheic" + bytes(100)),
    ],
)
async def test_what_is_no_video(name: str, data: bytes) -> None:
    expected = text("broken_video", **{"{name}": name.rpartition("\\")[2]})
    assert await error_of("/video", ("video", (name, data)), NAMES) == expected


@pytest.mark.parametrize("name", ["a.mp4", 'größe "2".mp4', "film (1).Mp4"])
async def test_a_broken_video(name: str) -> None:
    models = Doubles()
    models.video.fails = InvalidVideo("None of the video's frames can be decoded: encode it again.")
    expected = text("broken_video", **{"{name}": name})
    assert await error_of("/video", ("video", (name, FILM)), NAMES, models=models) == expected


@pytest.mark.parametrize("route", ROUTES)
async def test_a_category_that_is_too_long(route: str) -> None:
    models = Doubles()
    models.clip.fails = InvalidPrompt("It is too long.")
    assert await error_of(route, GOOD[route], NAMES, models=models) == text("category_too_long")


def test_no_text_of_the_contract_is_left_out() -> None:
    contract: dict[str, Any] = json.loads(shared("contract/B_errors_and_shapes.json").read_bytes())
    assert contract["errors"].keys() == {
        "missing_special",
        "bad_ext_images",
        "bad_ext_categories",
        "bad_ext_video",
        "no_images",
        "bad_encoding",
        "bad_json",
        "broken_image",
        "broken_video",
        "category_too_long",
    }
