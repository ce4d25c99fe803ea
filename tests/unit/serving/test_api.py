"""What the ingress does around a model: each family's form of errors, deadlines, cancellation, names, the page."""

import asyncio
import re
import time
from typing import Any

import pytest
from pydantic import SecretStr

from serve_app.clients.models import Models
from serve_app.http import errors
from serve_app.http.errors import ModelUnavailable, Overloaded, PanoptesError
from serve_app.http.security import DOCS_FILES
from testbed.pictures.images import encoded, two_halves
from tests.unit.serving.api import ClipDouble, client

PNG = encoded(two_halves(), "PNG")
JSON_CATEGORIES = ("categories", ("c.json", b'["a", "bb", "ccc"]'))


def test_the_documented_tree_of_errors_is_the_real_one() -> None:
    drawn = re.findall(r"^[│├└─ ]*(\w+) +(\d{3}) (\w+)", errors.__doc__ or "", re.MULTILINE)
    classes: list[type[PanoptesError]] = [PanoptesError]
    for known in classes:
        classes.extend(known.__subclasses__())
    actual = {known.__name__: (known.status, known.code) for known in classes if known.__name__ != "Slow"}
    assert {name: (int(status), code) for name, status, code in drawn} == actual


@pytest.mark.parametrize(
    ("error", "status"), [(Overloaded("full", retry_after_s=1), 503), (ModelUnavailable("x", retry_after_s=5), 503)]
)
async def test_overload_is_answered_with_retry_after(error: PanoptesError, status: int) -> None:
    clip = ClipDouble()
    clip.fails = error
    async with client(clip) as api:
        answer = await api.post("/classify", files={"file": ("a.png", PNG)})
    assert answer.status_code == status
    assert answer.headers["Retry-After"] == str(error.retry_after_s)
    assert answer.json() == {"error": error.code, "message": error.message, "detail": error.message}


async def test_an_unexpected_error_has_an_id_and_no_stack_trace() -> None:
    clip = ClipDouble()
    clip.fails = RuntimeError("/srv/secret/path.py exploded")
    async with client(clip) as api:
        answer = await api.post("/classify", files={"file": ("a.png", PNG)}, headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 500
    assert answer.json()["detail"] == {"request_id": "abc-1"}
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("identity", ["caf\u00e9".encode("latin-1"), "\u00e9".encode(), b"x" * 5000])
async def test_an_id_that_is_not_short_ascii_is_not_repeated(identity: bytes) -> None:
    clip = ClipDouble()
    clip.fails = RuntimeError("exploded")
    async with client(clip) as api:
        answer = await api.post("/classify", files={"file": ("a.png", PNG)}, headers=[(b"x-request-id", identity)])
    assert (answer.status_code, answer.json()["detail"]) == (500, {"request_id": "unknown"})


async def test_a_deadline_is_504_and_cancels_the_work() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    clip = ClipDouble()
    clip.before = forever
    async with client(clip, request_timeout_s=0.2) as api:
        started = time.monotonic()
        answer = await api.post("/classify", files={"file": ("a.png", PNG)})
    assert (answer.status_code, answer.json()["error"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started < 5
    assert cancelled.is_set()


async def test_a_slow_upload_is_408() -> None:
    async def dribble() -> Any:
        for _ in range(100):
            yield b"x"
            await asyncio.sleep(0.05)

    async with client(request_timeout_s=0.3) as api:
        answer = await api.post("/v1/classify", content=dribble(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (408, "upload_timeout")
    assert answer.headers["Connection"] == "close"


async def test_files_of_the_same_name_do_not_collide() -> None:
    files = [("files", (name, PNG)) for name in ("a.png", "a.png", "a.png (2).png", "A.PNG", "a.png")]
    async with client() as api:
        answer = await api.post("/categorize", files=[*files, JSON_CATEGORIES])
    assert answer.status_code == 201
    assert list(answer.json()) == ["a.png", "a.png (2)", "a.png (2).png", "A.PNG", "a.png (3)"]
    assert set(answer.json().values()) == {"ccc"}


@pytest.mark.parametrize(
    ("route", "files", "text"),
    [
        ("/categorize", [JSON_CATEGORIES], "No image file selected"),
        ("/image", [("files", ("a.png", PNG))], "No file selected, please select a categories file"),
        (
            "/categorize",
            [("files", ("a.gif", PNG)), JSON_CATEGORIES],
            "Invalid extension, allowed extensions are: ['png', 'jpg', 'jpeg']",
        ),
        (
            "/image",
            [("files", ("a.png", PNG)), ("categories", ("c.txt", b"a"))],
            "Invalid extension, allowed extensions are: ['csv', 'json']",
        ),
        (
            "/image",
            [("files", ("a.png", PNG)), ("categories", ("c.csv", b"\xff"))],
            "Invalid encoding in file c.csv, valid encodings are UTF-8 and US-ASCII",
        ),
        (
            "/image",
            [("files", ("a.png", PNG)), ("categories", ("c.json", b"{"))],
            "Invalid json file, please check the syntax of c.json",
        ),
        (
            "/categorize",
            [("files", ("a.png", PNG[:70])), JSON_CATEGORIES],
            "Invalid image, the file a.png seems to be broken",
        ),
        (
            "/categorize",
            [("files", ("a.png", b"")), JSON_CATEGORIES],
            "Invalid image, the file a.png seems to be broken",
        ),
    ],
)
async def test_the_categorizer_has_its_own_error_messages(route: str, files: Any, text: str) -> None:
    async with client() as api:
        answer = await api.post(route, files=files)
    assert (answer.status_code, answer.json()) == (400, {"error": text})


@pytest.mark.parametrize("count", [4, 6])
async def test_more_files_than_allowed_are_refused(count: int) -> None:
    async with client(max_files=3) as api:
        answer = await api.post("/categorize", files=[("files", (f"{n}.png", PNG)) for n in range(count)])
    assert (answer.status_code, list(answer.json())) == (413, ["error"])


async def test_a_form_whose_categories_were_left_empty_uses_the_default_ones() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        + PNG
        + b'\r\n--x\r\nContent-Disposition: form-data; name="categories"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n--x--\r\n"
    )
    async with client() as api:
        answer = await api.post(
            "/categorize", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        as_text = await api.post("/categorize", files=[("files", ("a.png", PNG))], data={"categories": "a,b"})
    assert (answer.status_code, answer.json()) == (201, {"a.png": "a circle"})
    assert as_text.status_code == 400


async def test_a_request_with_thousands_of_problems_gets_a_short_answer() -> None:
    async with client() as api:
        answer = await api.post("/v1/embeddings", json={"input": [1] * 100_000})
    assert answer.status_code == 422
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": []}, 400, "invalid_request"),
        ({"input": ["a"] * 300}, 413, "payload_too_large"),
        ({"input": "a", "model": "text-embedding-3-small"}, 404, "model_not_found"),
        ({"input": "a", "dimensions": 256}, 400, "invalid_request"),
        ({"input": [[1, 2, 3]]}, 422, "validation_error"),
        ({"input": "data:image/png,abc", "modality": "image"}, 400, "invalid_request"),
        ({"input": "data:image/png;base64,@@@", "modality": "image"}, 400, "invalid_request"),
        ({"input": "/etc/passwd", "modality": "image"}, 400, "url_refused"),
        ({}, 422, "validation_error"),
    ],
)
async def test_embedding_requests_that_cannot_be_answered(body: dict[str, Any], status: int, code: str) -> None:
    async with client() as api:
        answer = await api.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, code)


@pytest.mark.parametrize(
    "image",
    [{}, {"url": "http://x/", "data": "AA=="}, {"data": "AA==", "extra": 1}],
)
async def test_an_invalid_image_input_is_422(image: dict[str, Any]) -> None:
    async with client() as api:
        answer = await api.post("/v1/classify", json={"image": image, "labels": ["a"]})
    assert answer.status_code == 422
    assert answer.json()["error"] == "validation_error"
    assert answer.json()["detail"][0]["loc"][:2] == ["body", "image"]


@pytest.mark.parametrize("template", ["no place", "{} and {}", "{label}", "{0}"])
async def test_a_template_needs_one_place_for_the_label(template: str) -> None:
    async with client() as api:
        body = {"image": {"data": "AA=="}, "labels": ["a"], "template": template}
        assert (await api.post("/v1/classify", json=body)).status_code == 422


async def test_a_switched_off_model_answers_503_and_is_not_listed() -> None:
    async with client(models=Models({})) as api:
        answer = await api.post("/classify", files={"file": ("a.png", PNG)})
        assert (answer.status_code, answer.json()["error"]) == (503, "model_disabled")
        assert (await api.get("/v1/models")).json()["data"] == []
        health = await api.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert (await api.get("/")).status_code == 200


async def test_home_is_a_page_for_people_and_json_for_programs() -> None:
    async with client() as api:
        page = await api.get("/", headers={"Accept": "text/html"})
        facts = await api.get("/", headers={"Accept": "application/json"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "test/double" in page.text
    assert facts.json()["weights"]["clip"] == "test/double"
    assert facts.json()["weights"]["pyiqa_brisque"] == "test/pyiqa_brisque"
    assert "POST /classify" in facts.json()["routes"]


async def test_unknown_routes_and_methods() -> None:
    async with client() as api:
        assert (await api.get("/nope")).json()["error"] == "not_found"
        assert (await api.get("/classify")).status_code == 405


async def test_the_documentation_loads_nothing_from_other_hosts_and_needs_no_key() -> None:
    async with client(api_key=SecretStr("secret")) as api:
        page = (await api.get("/docs")).text
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert set(loaded) == DOCS_FILES
        for path in loaded:
            assert (await api.get(path)).status_code == 200, path


async def test_every_route_is_documented() -> None:
    async with client() as api:
        schema = (await api.get("/openapi.json")).json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)
            if method == "post":
                assert "requestBody" in operation, path
                assert {"401", "413", "429", "500", "503"} <= set(operation["responses"]), path
            for answer in operation["responses"].values():
                content = answer.get("content", {}).get("application/json", {})
                reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                documented = schema["components"]["schemas"].get(reference, {})
                is_error = reference in {"ErrorBody", "TextError"}
                assert is_error or not content or "example" in content or documented.get("examples"), (method, path)


async def test_the_schema_asks_for_the_key_where_the_service_does() -> None:
    async with client(api_key=SecretStr("secret")) as api:
        schema = (await api.get("/openapi.json")).json()
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                answer = await api.request(method, path.format(image_id=1, size="small"))
                assert ("security" in operation) == (answer.status_code == 401), (method, path)
    schemes = schema["components"]["securitySchemes"].values()
    assert {(one["type"], one.get("name"), one.get("scheme")) for one in schemes} == {
        ("apiKey", "X-Api-Key", None),
        ("http", None, "bearer"),
    }
