"""Files in base64 as clients really write them: one reader for all routes, and what is no base64 is named."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from deployments.wire.json_text import SLICE as JSON_SLICE
from serve_app.inputs.base64_text import SLICE, NotBase64, decode_base64
from testbed.pictures.images import encoded
from tests.unit.serving.api import client

# Its base64 has both characters that differ between the alphabets, and ends with padding.
DATA = b"\xff\xd8\xff\xe0" + bytes(range(256)) + b"\xfb\xef\xbe\xff?>"
PLAIN = base64.b64encode(DATA).decode()
URL_SAFE = base64.urlsafe_b64encode(DATA).decode()
assert "+" in PLAIN
assert "/" in PLAIN
assert PLAIN.endswith("=")

WRITTEN = {
    "plain": PLAIN,
    "unpadded": PLAIN.rstrip("="),
    "padded twice": PLAIN + "==",
    "URL-safe": URL_SAFE,
    "URL-safe, unpadded": URL_SAFE.rstrip("="),
    "both alphabets": PLAIN.replace("+", "-"),
    "wrapped as by base64(1)": base64.encodebytes(DATA).decode(),
    "wrapped with CRLF": "\r\n".join(PLAIN[at : at + 64] for at in range(0, len(PLAIN), 64)),
    "indented": "\n\t  ".join(["", *(PLAIN[at : at + 60] for at in range(0, len(PLAIN), 60)), ""]),
    "no-break spaces": f"\u00a0{PLAIN}\u00a0",
    "byte order mark": "\ufeff" + PLAIN,
    "percent-encoded": quote(PLAIN, safe=""),
    "data URI": f"data:image/jpeg;base64,{PLAIN}",
    "capitals": f"DATA:Image/JPEG;BASE64,{PLAIN}",
    "blanks": f" data: image/jpeg ; base64 , {PLAIN} ",
    "parameters": f"data:image/jpeg;charset=utf-8;name=x.jpg;base64,{PLAIN}",
    "quoted comma": f'data:image/jpeg;name="a, b.jpg";base64,{PLAIN}',
    "one quotation mark": f'data:image/jpeg;name=5".jpg;base64,{PLAIN}',
    "base64 not last": f"data:image/jpeg;base64;charset=utf-8,{PLAIN}",
    "no type": f"data:;base64,{PLAIN}",
    "percent-encoded data URI": f"data:image/jpeg;base64,{quote(PLAIN, safe='')}",
    "percent-encoded line ends": "data:image/jpeg;base64," + base64.encodebytes(DATA).decode().replace("\n", "%0A"),
    "URL-safe data URI": f"data:image/jpeg;base64,{URL_SAFE.rstrip('=')}",
    "byte order mark, data URI": f"\ufeffdata:image/jpeg;base64,\ufeff{PLAIN}",
    "wrapped data URI": f"data:image/jpeg;base64,\n{base64.encodebytes(DATA).decode()}",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_base64_is_read_however_it_is_written(text: str) -> None:
    assert decode_base64(text) == DATA


@pytest.mark.parametrize("size", [0, 1, 2, 3, SLICE - 1, SLICE, SLICE + 1, 3_000_000])
@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: quote(text, safe=""),
        lambda text: "data:image/png;base64," + text.rstrip("="),
        lambda text: " ".join(text[at : at + 1000] for at in range(0, len(text), 1000)),
    ],
    ids=["plain", "wrapped", "percent", "data URI", "blanks"],
)
def test_long_texts_are_decoded_slice_by_slice(size: int, write: Callable[[str], str]) -> None:
    data = (bytes(range(256)) + b"\xfb\xff") * (size // 258) + bytes(size % 258)
    assert decode_base64(write(base64.b64encode(data).decode())) == data


@pytest.mark.parametrize("shift", range(6))
def test_an_escape_across_two_slices_is_one_character(shift: int) -> None:
    text = "A" * (SLICE - 4 + shift) + "%2B%2F%2B%2F"
    assert decode_base64(text + "A" * (-(len(text) - 8) % 4)) == base64.b64decode(
        "A" * (SLICE - 4 + shift) + "+/+/" + "A" * (-(len(text) - 8) % 4)
    )


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "A=",
        "AAAAA",
        "AA==AA==",
        "AAA=" + " " * SLICE + "AAAA",
        "AA=A",
        "@@@",
        "é",
        "\ud800",
        "https://example.com/a.jpg",
        "b'AAAA'",
        "%ff%fe",
        "data:image/png,abc",
        "data:image/png;base64",
        "data:text/plain;base65,AAAA",
        "data:image/png;name=" + "x" * 5000 + ";base64,AAAA",
        'data:image/png;name="' + '"' * 5000,
    ],
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(NotBase64, match="is not base64"):
        decode_base64(text)


PNG = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
PNG_TEXT = base64.b64encode(PNG).decode()
FORMS = {
    "unpadded": PNG_TEXT.rstrip("="),
    "URL-safe": base64.urlsafe_b64encode(PNG).decode(),
    "wrapped, with a byte order mark": "\ufeff" + base64.encodebytes(PNG).decode(),
    "data URI": f"DATA:Image/PNG; name=x.png;BASE64, {quote(PNG_TEXT, safe='')}",
}


def _document(text: str) -> Any:
    return {"documents": [{"id": "a", "source": {"content": text, "file_type": "png"}}]}


ROUTES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "/v1/classify": ("/v1/classify", lambda text: {"image": {"data": text}, "labels": ["a", "b"]}),
    "/v1/caption": ("/v1/caption", lambda text: {"image": {"data": text}}),
    "/v1/tags": ("/v1/tags", lambda text: {"image": {"data": text}}),
    "/v1/objects": ("/v1/objects", lambda text: {"image": {"data": text}}),
    "/v1/text": ("/v1/text", lambda text: {"image": {"data": text}}),
    "/v1/analyze": ("/v1/analyze", lambda text: {"image": {"data": text}}),
    "/v1/analyze/batch": ("/v1/analyze/batch", lambda text: {"images": [{"data": text}]}),
    "/v1/analyze/llm": ("/v1/analyze/llm", lambda text: {"image": text}),
    "/process": ("/process", _document),
}


def _failed(answer: httpx.Response) -> Any:
    body = answer.json()
    if answer.status_code != 200:
        return body
    return (
        body.get("list_id_not_treated")
        or [one["error"] for one in body.get("results", []) if one["error"]]
        or (body.get("result", {}).get("error"))
    )


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("path", "body"), ROUTES.values(), ids=ROUTES)
async def test_every_route_reads_it(path: str, body: Callable[[str], Any], text: str) -> None:
    async with client() as api:
        answer = await api.post(path, json=body(text))
    assert not _failed(answer), answer.text


@pytest.mark.parametrize(("path", "body"), ROUTES.values(), ids=ROUTES)
async def test_every_route_says_what_is_not_base64(path: str, body: Callable[[str], Any]) -> None:
    async with client() as api:
        answer = await api.post(path, json=body("photo.jpg, please"))
    assert "not base64" in json.dumps(_failed(answer)), answer.text


DATA_URIS = [f"data:image/png;base64,{PNG_TEXT}", FORMS["data URI"], f"\ufeff Data:;BASE64,{PNG_TEXT.rstrip('=')}"]


@pytest.mark.parametrize("uri", DATA_URIS)
async def test_data_uris_are_taken_where_urls_are(uri: str) -> None:
    async with client() as api:
        plain = await api.post("/v1/embeddings", json={"input": DATA_URIS[0], "modality": "image"})
        as_input = await api.post("/v1/embeddings", json={"input": uri, "modality": "image"})
        part = {"type": "image_url", "image_url": {"url": uri}}
        as_part = await api.post("/v1/embeddings", json={"input": [part]})
        analyzed = await api.post("/v1/analyze", json={"image": {"url": uri}})
        asked = await api.post("/v1/analyze/llm", json={"image_url": uri})
    vectors = [answer.json()["data"][0]["embedding"] for answer in (plain, as_input, as_part)]
    assert vectors[0] == vectors[1] == vectors[2]
    result = analyzed.json()["result"]
    assert (result["error"], result["source_url"], result["width_px"]) == (None, None, 40)
    assert asked.status_code == 200, asked.text


@pytest.mark.parametrize("mark", ["\ufeff", "\\ufeff", "\\uFEFF"])
async def test_a_large_file_may_begin_with_a_byte_order_mark(mark: str) -> None:
    """Texts of over a megabyte are read slice by slice and must else be ASCII."""
    noise = encoded(Image.effect_noise((1000, 1000), 90), "PNG")
    text = base64.b64encode(noise).decode()
    assert len(text) > JSON_SLICE
    body = f'{{"labels": ["a"], "image": {{"data": "{mark}{text}"}}}}'.encode() + b" " * (5 << 20)
    async with client() as api:
        answer = await api.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["width_px"]) == (200, 1000)
