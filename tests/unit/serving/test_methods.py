"""What holds for every route: HEAD where GET is, OPTIONS and Allow, unknown paths, trailing slashes, WebSockets."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.catalogue.in_process import located
from tests.unit.serving.api import client

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HIDDEN = ("/docs", "/openapi.json", "/page/app.js", "/docs-files/swagger-ui.css")


async def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api:
        paths = (await api.get("/openapi.json")).json()["paths"]
        for path in [*(path for path, operations in paths.items() if "get" in operations), *HIDDEN]:
            place = path.format(image_id=7, size="small")
            got, head = await api.get(place), await api.head(place)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            changing = {"x-request-id", "content-length"} if path in {"/health", "/v1/health"} else set()
            assert {k: v for k, v in head.headers.items() if k not in changing} == {
                k: v for k, v in got.headers.items() if k not in changing
            }, path


@pytest.mark.parametrize("method", ["OPTIONS", *METHODS, "TRACE", "PROPFIND"])
async def test_allow_names_every_method_of_a_path(method: str, tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api:
        paths = (await api.get("/openapi.json")).json()["paths"]
        for path, operations in {**paths, **{path: {"get": {}} for path in HIDDEN}}.items():
            known = {one.upper() for one in operations}
            if method in known:
                continue
            answer = await api.request(method, path.format(image_id=7, size="small"))
            assert answer.status_code == (204 if method == "OPTIONS" else 405), (method, path)
            allowed = known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
            assert set(answer.headers["Allow"].split(", ")) == allowed, path
            assert method == "OPTIONS" or answer.json()["error"], path


async def test_head_of_a_path_without_get_is_405() -> None:
    async with client() as api:
        answer = await api.head("/classify")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize("method", [*METHODS, "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/classify/",
        "/v1/models/",
        "/docs/",
        "//evil.example/",
        "/%2e%2e/etc/passwd",
        "/\u00e9",
        "/api/images/abc",
        f"/api/images/{'9' * 5000}",
    ],
)
async def test_an_unknown_path_is_404_in_json_and_never_redirects(method: str, path: str) -> None:
    async with client() as api:
        answer = await api.request(method, f"http://localhost{path}")
    assert (answer.status_code, "Location" in answer.headers) == (404, False)
    assert method == "HEAD" or "There is no /" in answer.text
    assert len(answer.content) < 1000


@pytest.mark.parametrize("path", ["/", ""])
async def test_behind_a_prefix_its_own_path_is_the_page(path: str) -> None:
    messages = await _answered({"type": "http", "method": "GET", "path": f"/guarded{path}", "root_path": "/guarded"})
    assert messages[0]["status"] == 200


@pytest.mark.parametrize("path", ["/", "/ws", "/health-check"])
async def test_a_websocket_is_refused_in_json(path: str) -> None:
    scope = {"type": "websocket", "path": path, "root_path": ""}
    start, body = await _answered({**scope, "extensions": {"websocket.http.response": {}}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 400)
    assert json.loads(body["body"])["error"] == "invalid_request" or path == "/health-check"


async def _answered(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent = list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    common = {"headers": [(b"host", b"localhost")], "query_string": b"", "http_version": "1.1", "scheme": "http"}
    async with client() as api:
        await api._transport.app({**common, "client": ("127.0.0.1", 1), **scope}, receive, send)  # type: ignore[attr-defined]
    return sent
