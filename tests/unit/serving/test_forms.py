"""Forms as clients really send them: names of files in all spellings, and no part that is left out in silence."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from serve_app.inputs.filenames import read_disposition
from testbed.pictures.images import encoded
from tests.unit.catalogue.in_process import located
from tests.unit.serving.api import client

PNG = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
LARGE = encoded(Image.effect_noise((1300, 1300), 90), "PNG")  # more than a text may have
FILM = b"FLV" + bytes([100, 7])
CATEGORIES: tuple[bytes, bytes] = (b'name="categories"; filename="c.json"', b'["a", "bb"]')

Part = tuple[bytes, bytes] | tuple[bytes, bytes, bytes]


def form(*parts: Part) -> bytes:
    """A form of parts, each with its Content-Disposition, its bytes, and more headers."""
    body = bytearray()
    for disposition, data, *headers in parts:
        lines = [b"--x", b"Content-Disposition: form-data; " + disposition, *headers, b"", data, b""]
        body += b"\r\n".join(lines)
    return bytes(body + b"--x--\r\n")


async def post(path: str, *parts: Part, **settings: Any) -> httpx.Response:
    async with client(**settings) as api:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        return await api.post(path, content=form(*parts), headers=headers)


def word(name: str, kind: str = "B", charset: str = "utf-8") -> bytes:
    raw = name.encode(charset)
    text = base64.b64encode(raw).decode() if kind in "Bb" else "".join(f"={byte:02X}" for byte in raw)
    return f"=?{charset}?{kind}?{text}?=".encode()


NAMES = {
    b'filename="photo.png"': "photo.png",
    b"filename=photo.png": "photo.png",
    b"filename=my photo.png": "my photo.png",
    b'FileName="photo.png"': "photo.png",
    # extended, RFC 8187
    b"filename*=UTF-8''na%C3%AFve.png": "naïve.png",
    b"filename*=utf-8'en'%e2%82%ac%20rates.png": "€ rates.png",
    b"filename*=\"UTF-8''na%C3%AFve.png\"": "naïve.png",
    b"filename=\"naive.png\"; filename*=UTF-8''na%C3%AFve.png": "naïve.png",
    b"filename*=UTF-8''na%C3%AFve.png; filename=\"naive.png\"": "naïve.png",
    b"filename*=ISO-8859-1''na%EFve.png": "naïve.png",
    b"filename*=na%C3%AFve.png": "naïve.png",
    b"filename*=UTF-8''na%EFve.png": "naïve.png",
    b'filename="plain.png"; filename*=': "plain.png",
    b"filename=\"plain.png\"; filename*=KOI8-R''%C1.png": "plain.png",
    # encoded words, as .NET writes them
    b'filename="' + word("naïve.png") + b'"': "naïve.png",
    b"filename=" + word("naïve.png"): "naïve.png",
    b'filename="' + word("naïve.png", "Q") + b'"': "naïve.png",
    b'filename="' + word("naïve.png", "q", "ISO-8859-1") + b'"': "naïve.png",
    b'filename="' + word("naïve " * 30 + ".png") + b'"': "naïve " * 30 + ".png",
    b'filename="' + word("naï") + b" " + word("ve.png") + b'"': "naïve.png",
    b'filename="' + word("naïve.png") + b"\"; filename*=utf-8''na%C3%AFve%202.png": "naïve 2.png",
    b'filename="=?utf-8?X?abc?=.png"': "=?utf-8?X?abc?=.png",
    b'filename="a =?utf-8?B?YQ==?= b.png"': "a =?utf-8?B?YQ==?= b.png",
    # escapes of browsers, and backslashes
    b'filename="a %22quoted%22 name.png"': 'a "quoted" name.png',
    b'filename="two%0D%0Alines.png"': "two\r\nlines.png",
    b'filename="a \\"quoted\\" name.png"': 'a "quoted" name.png',
    b'filename="a "quoted" name.png"': 'a "quoted" name.png',
    b'filename="a;b, c.png"': "a;b, c.png",
    b'filename="a\\"; b.png"; size=7': 'a"; b.png',
    b'filename="100%.png"': "100%.png",
    b'filename="a%20b.png"': "a%20b.png",
    # raw
    'filename="größe 图 🗺.png"'.encode(): "größe 图 🗺.png",
    'filename="größe.png"'.encode("latin-1"): "größe.png",
    # paths
    b'filename="C:\\Users\\me\\photo.png"': "photo.png",
    b'filename="C:\\fakepath\\photo.png"': "photo.png",
    b'filename="C:/Users/me/photo.png"': "photo.png",
    b'filename="\\\\server\\share\\photo.png"': "photo.png",
    b"filename*=UTF-8''C%3A%5Cphotos%5Cna%C3%AFve.png": "naïve.png",
    b'filename="holiday/photo.png"': "holiday/photo.png",
    b'filename="photo.PNG "': "photo.PNG ",
}


@pytest.mark.parametrize(("header", "name"), NAMES.items(), ids=[str(header) for header in NAMES])
async def test_a_file_s_own_name_comes_back(header: bytes, name: str) -> None:
    answer = await post("/categorize", (b'name="files"; ' + header, PNG), CATEGORIES)
    assert (answer.status_code, answer.json()) == (201, {name: "bb"})


@pytest.mark.parametrize(("header", "name"), list(NAMES.items())[::5], ids=[str(header) for header in NAMES][::5])
async def test_errors_and_other_routes_use_the_same_name(header: bytes, name: str, tmp_path: Path) -> None:
    broken = await post("/categorize", (b'name="files"; ' + header, PNG[:60]), CATEGORIES)
    assert broken.json() == {"error": f"Invalid image, the file {name} seems to be broken"}
    classified = await post("/classify", (b'name="file"; ' + header, PNG))
    assert classified.json()["filename"] == name
    stored = await post("/api/images", (b'name="file"; ' + header, PNG), **located(tmp_path))
    assert stored.status_code == 202


async def test_the_form_s_charset_is_that_of_its_names() -> None:
    async with client() as api:
        headers = {"Content-Type": "multipart/form-data; boundary=x; charset=windows-1252"}
        body = form(('name="files"; filename="€.png"'.encode("cp1252"), PNG), CATEGORIES)
        answer = await api.post("/categorize", content=body, headers=headers)
    assert answer.json() == {"€.png": "bb"}


@pytest.mark.parametrize("header", [b"", b"form-data", b"form-data; filename=a.png", b'name="file"', b"; ; ;", b"\xff"])
def test_a_header_without_a_field_has_none(header: bytes) -> None:
    assert not read_disposition(header, "utf-8").field


async def test_a_part_without_a_name_is_refused() -> None:
    answer = await post("/categorize", (b'filename="a.png"', PNG), CATEGORIES)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert "name" in answer.json()["error"]


@pytest.mark.parametrize(
    "field", ["files", "files[]", "files[0]", "Files", "file", "file[]", "image", "images", "images[]"]
)
@pytest.mark.parametrize("route", ["/categorize", "/image"])
async def test_images_may_be_sent_under_other_names(route: str, field: str) -> None:
    answer = await post(route, (f'name="{field}"; filename="a.png"'.encode(), PNG), CATEGORIES)
    assert answer.status_code == 201, answer.text
    assert "a.png" in json.dumps(answer.json())


async def test_images_under_several_names_are_all_answered() -> None:
    parts = [(f'name="{field}"; filename="{field}.png"'.encode(), PNG) for field in ("files", "file", "images[]")]
    answer = await post("/categorize", *parts, CATEGORIES)
    assert list(answer.json()) == ["files.png", "file.png", "images[].png"]


@pytest.mark.parametrize("field", ["video", "video[]", "videos", "file", "files"])
async def test_a_video_may_be_sent_under_other_names(field: str) -> None:
    answer = await post("/video", (f'name="{field}"; filename="a.mp4"'.encode(), FILM), CATEGORIES)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("field", ["categories", "categories[]", "category", "labels"])
@pytest.mark.parametrize("route", ["/categorize", "/image"])
async def test_categories_may_be_sent_under_other_names(route: str, field: str) -> None:
    categories = (f'name="{field}"; filename="c.json"'.encode(), b'["a", "bb"]')
    answer = await post(route, (b'name="files"; filename="a.png"', PNG), categories)
    assert answer.status_code == 201
    assert "bb" in answer.text


@pytest.mark.parametrize("field", ["file", "file[]", "FILE", "files", "image", "images"])
@pytest.mark.parametrize("path", ["/api/images", "/api/images/search"])
async def test_the_catalogue_takes_one_file_under_other_names(path: str, field: str, tmp_path: Path) -> None:
    answer = await post(path, (f'name="{field}"; filename="a.png"'.encode(), PNG), **located(tmp_path))
    assert answer.status_code in {200, 202}, answer.text


PHOTO = b'name="photo"; filename="p.png"'


@pytest.mark.parametrize(
    ("path", "parts", "status", "text"),
    [
        ("/categorize", [(b'name="files"; filename="a.png"', PNG), (PHOTO, PNG)], 400, 'The part "photo" is not taken'),
        ("/categorize", [(PHOTO, PNG)], 400, 'The part "photo" is not taken here: send "files" and "categories".'),
        (
            "/image",
            [(PHOTO, PNG), CATEGORIES],
            400,
            'The part "photo" is not taken here: send "files" and "categories".',
        ),
        (
            "/video",
            [(PHOTO, FILM), CATEGORIES],
            400,
            'The part "photo" is not taken here: send "video" and "categories".',
        ),
        ("/classify", [(b'name="file"; filename="a.png"', PNG), (PHOTO, PNG)], 422, 'The part "photo" is not taken'),
        (
            "/classify",
            [(b'name="image"; filename="a.png"', PNG)],
            422,
            'The part "image" is not taken here: send "file".',
        ),
        ("/classify", [(b'name="image"', PNG, b"Content-Type: image/png")], 422, 'The part "image" is not taken here'),
        ("/api/images", [(b'name="file"; filename="a.png"', PNG), (PHOTO, PNG)], 400, 'The part "photo" is not taken'),
        ("/categorize", [(b'name="photo"', PNG), CATEGORIES], 400, 'The part "photo" is not taken'),
        # texts
        ("/categorize", [(b'name="files"', b"a.png"), CATEGORIES], 400, 'The part "files" holds a text, not a file'),
        (
            "/categorize",
            [(b'name="files"; filename="a.png"', PNG), (b'name="files"', base64.b64encode(PNG)), CATEGORIES],
            400,
            'The part "files" holds a text, not a file: curl -F files=@FILE sends a file.',
        ),
        (
            "/categorize",
            [(b'name="files"; filename="a.png"', PNG), (b'name="categories"', b"a,b")],
            400,
            "No file selected, please select a categories file",
        ),
        ("/video", [(b'name="video"', b"film.mp4"), CATEGORIES], 400, "No file selected, please select a video file"),
        ("/classify", [(b'name="file"', b"a.png")], 422, 'The part "file" holds a text, not a file'),
        # files without a name
        ("/categorize", [(b'name="files"', PNG), CATEGORIES], 400, 'A file in the part "files" has no name'),
        (
            "/categorize",
            [(b'name="files"; filename="a.png"', PNG), (b'name="files"; filename=""', PNG), CATEGORIES],
            400,
            'A file in the part "files" has no name',
        ),
        (
            "/image",
            [(b'name="files"', LARGE, b"Content-Type: image/png"), CATEGORIES],
            400,
            'the part "files" has no name',
        ),
        ("/video", [(b'name="video"', FILM + b"\xff"), CATEGORIES], 400, 'A file in the part "video" has no name'),
        # several where one is taken
        ("/video", [(b'name="video"; filename="a.mp4"', FILM)] * 2, 400, '2 files were sent as "video": send one.'),
        (
            "/image",
            [(b'name="files"; filename="a.png"', PNG), CATEGORIES, CATEGORIES],
            400,
            '2 files were sent as "categ',
        ),
        ("/classify", [(b'name="file"; filename="a.png"', PNG)] * 2, 413, "At most 1 file"),
        ("/api/images", [(b'name="file"; filename="a.png"', PNG)] * 2, 413, "At most 1 file"),
    ],
)
async def test_a_part_that_is_not_used_is_named(
    path: str, parts: list[Part], status: int, text: str, tmp_path: Path
) -> None:
    answer = await post(path, *parts, max_files=3, **located(tmp_path))
    assert (answer.status_code, text in json.dumps(answer.json(), ensure_ascii=False).replace('\\"', '"')) == (
        status,
        True,
    ), answer.text


@pytest.mark.parametrize("headers", [(), (b"Content-Type: image/png",), (b"Content-Type: application/octet-stream",)])
@pytest.mark.parametrize("data", [PNG, LARGE], ids=["small", "large"])
async def test_a_file_without_a_name_is_read_where_none_is_needed(
    headers: tuple[bytes], data: bytes, tmp_path: Path
) -> None:
    part = (b'name="file"', data, *headers)
    classified = await post("/classify", part)
    assert (classified.status_code, classified.json()["file_size_bytes"]) == (200, len(data))
    stored = await post("/api/images", part, **located(tmp_path))
    assert stored.status_code == 202, stored.text


@pytest.mark.parametrize("route", ["/categorize", "/classify", "/api/images"])
async def test_facts_beside_a_file_are_ignored(route: str, tmp_path: Path) -> None:
    """As upload libraries send them."""
    field = b"files" if route == "/categorize" else b"file"
    parts: list[Part] = [
        (b'name="name"', b"photo.png"),
        (b'name="type"', b"image/png"),
        (b'name="' + field + b'"; filename="photo.png"', PNG),
        (b'name="other"; filename=""', b"", b"Content-Type: application/octet-stream"),
    ]
    answer = await post(route, *parts, **located(tmp_path))
    assert answer.status_code in {200, 201, 202}, answer.text


async def test_a_text_beside_the_only_file_is_ignored(tmp_path: Path) -> None:
    """FilePond sends facts in a text of the same name."""
    parts = [(b'name="file"', b"{}"), (b'name="file"; filename="a.png"', PNG)]
    assert (await post("/classify", *parts)).status_code == 200
    assert (await post("/api/images", *parts, **located(tmp_path))).status_code == 202


@pytest.mark.parametrize("route", ["/categorize", "/image", "/video"])
async def test_inputs_that_were_left_empty_were_not_sent(route: str) -> None:
    empty = [
        (f'name="{field}"; filename=""'.encode(), b"", b"Content-Type: application/octet-stream")
        for field in ("files", "video", "categories")
    ]
    answer = await post(route, *empty)
    expected = "No file selected, please select a video file" if route == "/video" else "No image file selected"
    assert (answer.status_code, answer.json()) == (400, {"error": expected})
