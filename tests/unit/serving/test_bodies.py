"""The doors for bodies: each route takes its JSON or form through one, within bounds, and says what is wrong with it."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, params
from fastapi.routing import APIRoute, APIRouter
from starlette.requests import Request

from serve_app.inputs.bodies import JsonRoute
from testbed.pictures.images import encoded, two_halves
from tests.unit.catalogue.in_process import located
from tests.unit.serving.api import ClipDouble, client
from tests.unit.serving.served import application

JSON = {"Content-Type": "application/json"}
PNG_DATA = base64.b64encode(encoded(two_halves(), "PNG")).decode()


def routes_of(router: APIRouter | FastAPI) -> Iterator[APIRoute]:
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(route, "original_router", None):
            yield from routes_of(inner)


ROUTES = list(routes_of(application()))
POSTED = sorted({route.path for route in ROUTES if "POST" in (route.methods or set())})
JSON_ROUTES = sorted({route.path for route in ROUTES if route.body_field is not None})


def test_every_body_that_fastapi_would_parse_is_parsed_by_the_door() -> None:
    assert {"/v1/analyze", "/v1/analyze/batch", "/v1/embeddings", "/v1/classify", "/v1/tags"} <= set(JSON_ROUTES)
    for route in ROUTES:
        if route.body_field is not None:
            assert isinstance(route, JsonRoute), route.path
            assert not isinstance(route.body_field.field_info, params.Form), route.path


@pytest.mark.parametrize("path", POSTED)
async def test_no_route_reads_its_body_in_another_way(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole body, JSON and forms of Starlette have no bounds."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the body is read without bounds")

    for way in ("body", "json", "form"):
        monkeypatch.setattr(Request, way, refused)
    async with client() as api:
        for sent in ({"json": {"input": "a"}}, {"files": {"file": ("a.png", b"x")}}, {"data": {"a": "b"}}):
            assert (await api.post(path, **sent)).status_code != 500


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (None, "The Content-Type is missing"),
        ("application/x-www-form-urlencoded", "curl -d and -F send a form"),
        ("multipart/form-data; boundary=x", "curl -d and -F send a form"),
        ("text/plain", "'text/plain'"),
    ],
)
async def test_another_content_type_is_named(path: str, kind: str | None, named: str) -> None:
    async with client() as api:
        answer = await api.post(path, content=b'{"input": "a"}', headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_media_type")
    assert named in answer.json()["message"]
    assert "add -H 'Content-Type: application/json'" in answer.json()["message"]


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", "application/json;x=y"]
)
async def test_every_type_of_json_is_taken(kind: str) -> None:
    async with client() as api:
        answer = await api.post("/v1/embeddings", content=b'{"input": "a"}', headers={"Content-Type": kind})
    assert answer.status_code == 200


async def test_without_a_body_the_body_is_missing() -> None:
    async with client() as api:
        answer = await api.post("/v1/embeddings")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body"])


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP, identity"])
async def test_a_compressed_body_is_refused_by_name(path: str, encoding: str) -> None:
    async with client() as api:
        body = gzip.compress(bytes(1000))
        answer = await api.post(path, content=body, headers=JSON | {"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert f"Content-Encoding: {encoding.lower()}" in answer.json().get("message", answer.json()["error"])


TEXTS_TO_REFUSE = [b'"\\ud800"', b"1" * 5000, b"-" + b"1" * 5000, b"1e999", b"NaN", b"-Infinity", b"0." + b"1" * 5000]


@pytest.mark.parametrize("path", [*JSON_ROUTES, "/process"])
@pytest.mark.parametrize("text", TEXTS_TO_REFUSE)
async def test_values_that_have_no_answer_are_refused_wherever_they_are(path: str, text: bytes) -> None:
    image = b'{"data": "%s"}' % PNG_DATA.encode()
    bodies = [
        text,
        b"[" + text + b"]",
        b'{"image": ' + text + b"}",
        b'{"image": {"data": ' + text + b"}}",
        b'{"image": %s, "labels": ["a", %s]}' % (image, text),
        b'{"image": %s, "labels": ["a"], "template": %s}' % (image, text),
        b'{"images": [%s], "run_blur": %s}' % (image, text),
        b'{"input": ' + text + b"}",
        b'{"input": ["a", ' + text + b"]}",
        b'{"input": "a", "user": ' + text + b"}",
        b'{"image_url": ' + text + b"}",
        b'{"image": "%s", "custom_prompt": %s}' % (PNG_DATA.encode(), text),
        b'{"documents": [1], "prompt": ' + text + b"}",
        b'{"documents": [1], "num_labels": ' + text + b"}",
    ]
    if b"ud800" in text:
        bodies += [b"{" + text + b": 1}", b'{"image": {' + text + b": 1}}"]
    async with client() as api:
        for body in bodies:
            answer = await api.post(path, content=body, headers=JSON)
            assert answer.status_code in {400, 422} or (path == "/process" and answer.status_code == 200), body
            answer.json()


@pytest.mark.parametrize("value", [0, 1, "yes", "true", 1.0, [], {}])
async def test_only_true_and_false_are_booleans(value: Any) -> None:
    async with client() as api:
        body = {"image": {"data": PNG_DATA}, "run_blur": value}
        one = await api.post("/v1/analyze", json=body)
        several = await api.post("/v1/analyze/batch", json={"images": [body["image"]], "run_blur": value})
    for answer in (one, several):
        [problem] = answer.json()["detail"]
        assert (answer.status_code, problem["loc"]) == (422, ["body", "run_blur"])
        assert "boolean" in problem["msg"]


async def test_booleans_are_taken_and_an_optional_field_that_is_null_is_left_out() -> None:
    body = {"image": {"data": PNG_DATA, "url": None}, "run_quality": False, "run_emotion": False}
    async with client() as api:
        for value, has_blur in ((True, True), (False, False), (None, True)):
            answer = await api.post("/v1/analyze", json=body | {"run_blur": value, "run_embedding": None})
            assert answer.status_code == 200
            assert (answer.json()["result"]["blur"] is not None) == has_blur
        answer = await api.post("/v1/embeddings", json={"input": "a", "model": None, "encoding_format": None})
        assert answer.status_code == 200
        missing = await api.post("/v1/embeddings", json={"input": None})
        assert (missing.status_code, missing.json()["detail"][0]["loc"][:2]) == (422, ["body", "input"])


@pytest.mark.parametrize("field", ["max_tokens", "dimensions"])
async def test_a_boolean_is_no_number(field: str) -> None:
    path, body = {
        "max_tokens": ("/v1/analyze/llm", {"image": PNG_DATA}),
        "dimensions": ("/v1/embeddings", {"input": "a"}),
    }[field]
    async with client() as api:
        answer = await api.post(path, json={**body, field: True})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", field])


@pytest.mark.parametrize("path", [*JSON_ROUTES, "/process"])
@pytest.mark.parametrize(
    "body",
    [
        {"images": [0] * 150_000},
        {"images": [{}] * 90_000},
        {"image": {f"key{n}": 0 for n in range(150_000)}},
        {f"key{n}": 0 for n in range(150_000)},
        {"images": [{f"key{n}": 0 for n in range(1000)}] * 150},
        {"image": {"k" * 3000: 0, "\u20ac" * 3000: 0}},
        {"input": [[]] * 90_000},
        {"input": [{"type": "text"}] * 50_000},
        {"labels": [0] * 150_000, "image": 0},
        {"documents": 0, "num_labels": [0] * 150_000},
    ],
    ids=["items", "objects", "image's keys", "keys", "keys each", "long keys", "inputs", "parts", "labels", "number"],
)
async def test_a_body_of_many_problems_gets_a_short_answer_soon(path: str, body: dict[str, Any]) -> None:
    loop, slowest = asyncio.get_running_loop(), 0.0

    async def watch() -> None:
        nonlocal slowest
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            slowest = max(slowest, loop.time() - before)

    content = json.dumps(body).encode()
    async with client() as api:
        watcher = asyncio.create_task(watch())
        answer = await api.post(path, content=content, headers=JSON)
        watcher.cancel()
    assert answer.status_code in {400, 422}
    assert len(answer.json()["detail"]) <= 10 or isinstance(answer.json()["detail"], str)
    assert len(answer.content) < 10_000
    assert slowest < 3.0  # before: 15 s


async def held_body(arrived: asyncio.Event, go: asyncio.Event, size: int) -> AsyncIterator[bytes]:
    yield b" " * size
    arrived.set()
    await go.wait()
    yield b'{"input": "a"}'


async def test_all_bodies_together_are_bounded_and_a_refusal_comes_before_the_body_is_read() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()
    limits: dict[str, Any] = {"max_image_mb": 3, "max_request_mb": 3, "max_batch_mb": 3, "max_bodies_mb": 4}
    clip = ClipDouble()
    async with client(clip, **limits) as api:
        holding = api.post("/v1/embeddings", content=held_body(arrived, go, 3_000_000), headers=JSON)
        held = asyncio.create_task(holding)
        await arrived.wait()

        async def unread() -> AsyncIterator[bytes]:
            yield b""
            raise AssertionError("the body was read")

        announced = await api.post("/v1/embeddings", content=unread(), headers=JSON | {"Content-Length": "2500000"})
        assert (announced.status_code, announced.json()["error"]) == (503, "overloaded")
        assert announced.headers["Retry-After"] == "5"
        assert (await api.post("/v1/embeddings", json={"input": "a"})).status_code == 200
        go.set()
        assert (await held).status_code == 200
        body = json.dumps({"input": "a", "user": "x" * 2_900_000}).encode()
        assert (await api.post("/v1/embeddings", content=body, headers=JSON)).status_code == 200


async def chunks(chunk: bytes, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield chunk


async def test_unannounced_bytes_over_the_common_bound_are_refused_as_they_arrive() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()
    limits: dict[str, Any] = {"max_image_mb": 3, "max_request_mb": 3, "max_batch_mb": 3, "max_bodies_mb": 4}
    async with client(**limits) as api:
        held = asyncio.create_task(api.post("/v1/embeddings", content=held_body(arrived, go, 3_000_000), headers=JSON))
        await arrived.wait()
        refused = await api.post("/v1/embeddings", content=chunks(b" " * 100_000, 30), headers=JSON)
        assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "5")
        go.set()
        assert (await held).status_code == 200
        again = await api.post("/v1/embeddings", content=chunks(b" " * 100_000, 30), headers=JSON)
        assert again.status_code == 422


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "unicode_escape", "zlib", "x" * 5000])
@pytest.mark.parametrize("path", ["/classify", "/categorize", "/api/images"])
async def test_a_form_in_another_charset_is_refused(path: str, charset: str, tmp_path: Path) -> None:
    """The name `+2AA-.png` is half of a character in UTF-7, which no answer can return."""
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="+2AA-.png"\r\n\r\n\r\n--x--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    async with client(**located(tmp_path)) as api:
        answer = await api.post(path, content=form, headers=kind)
    assert answer.status_code == 400
    assert "send it in UTF-8" in answer.text


@pytest.mark.parametrize("path", ["/classify", "/categorize", "/api/images"])
async def test_a_form_that_is_not_multipart_has_no_file(path: str, tmp_path: Path) -> None:
    """Starlette would parse a form of ampersands on the event loop, for 22 s."""
    async with client(**located(tmp_path)) as api:
        answer = await api.post(path, data={"file": "a", "files": "b"})
    assert answer.status_code in {400, 422}
