"""Family E's originals and thumbnails: which client gets what, what is cached, and where links lead."""

import io
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image

from deployments.storage.folder import Folder
from tests.unit.catalogue.in_process import BLUE, RED, Eyes, finished, located, uploaded, working
from tests.unit.serving.api import client

CHROME_IMG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "application/json"),
        ("image/*;q=0.5, application/json", "application/json"),
        (CHROME_IMG, "image/jpeg"),
        ("image/jpeg", "image/jpeg"),
        ("image/*, application/json;q=0.9", "image/jpeg"),
    ],
)
async def test_a_thumbnail_is_what_the_client_prefers(api: httpx.AsyncClient, accept: str | None, kind: str) -> None:
    image_id = await uploaded(api, RED)
    await finished(api, image_id)
    answer = await api.get(
        f"/api/images/{image_id}/thumbnails/small", headers={} if accept is None else {"Accept": accept}
    )
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (kind, "Accept")
    if kind == "application/json":
        assert (await api.get(answer.json()["url"])).headers["Content-Type"] == "image/jpeg"


async def test_thumbnails_fit_and_are_not_sent_twice(api: httpx.AsyncClient) -> None:
    image_id = await uploaded(api, RED)
    await finished(api, image_id)
    for size, expected in (("small", (150, 75)), ("medium", (300, 150))):
        url = f"/api/images/{image_id}/thumbnails/{size}/file"
        answer = await api.get(url)
        assert Image.open(io.BytesIO(answer.content)).size == expected
        assert "max-age" in answer.headers["Cache-Control"]
        again = await api.get(url, headers={"If-None-Match": f'"other", W/{answer.headers["ETag"]}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])


async def test_the_original_comes_back_harmless(api: httpx.AsyncClient) -> None:
    image_id = await uploaded(api, BLUE, 'a\u2028b"c.jpg')
    answer = await api.get(f"/api/images/{image_id}/file")
    assert (answer.content, answer.headers["Content-Type"]) == (BLUE, "image/jpeg")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = await api.get(f"/api/images/{image_id}/file", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    part = await api.get(f"/api/images/{image_id}/file", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, BLUE[:4])


async def test_a_file_of_a_store_elsewhere_is_streamed_and_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = list[str]()
    size = Folder.size

    def counting(folder: Folder, key: str) -> int | None:
        measured.append(key)
        return size(folder, key)

    async with client(**located(tmp_path, store_url=f"memory://{uuid.uuid4().hex}")) as api:
        image_id = await uploaded(api, BLUE)
        monkeypatch.setattr(Folder, "size", counting)
        answer = await api.get(f"/api/images/{image_id}/file")
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, BLUE, "image/jpeg")
    assert answer.headers["Content-Length"] == str(len(BLUE))
    assert len(measured) == 1


@pytest.mark.parametrize("path", ["file", "thumbnails/small", "thumbnails/small/file"])
async def test_a_file_that_the_store_has_lost_is_our_fault(
    api: httpx.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    image_id = await uploaded(api, BLUE)
    await finished(api, image_id)
    for file in (tmp_path / "pictures").rglob("*"):
        if file.is_file():
            file.unlink()
    answer = await api.get(f"/api/images/{image_id}/{path}", headers={"Accept": "image/*", "X-Request-ID": "mine"})
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert answer.json()["error"].endswith("Report it with the request id mine.")
    assert "ContentMissing: The store does not have this file." in caplog.text


@pytest.mark.parametrize("path", ["large", "large/file", "Small"])
async def test_a_size_that_no_thumbnail_has(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(f"/api/images/1/thumbnails/{path}")
    assert answer.status_code == 400
    assert answer.json() == {"error": "Invalid thumbnail size. Choose 'small' or 'medium'."}


async def test_what_is_still_processed_has_no_thumbnails_yet(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api:
        image_id = await uploaded(api, RED)
        body = (await api.get(f"/api/images/{image_id}")).json()
        assert (body["status"], body["thumbnails"]["small"], body["data"]["processed_at"]) == ("processing", None, None)
        answer = await api.get(f"/api/images/{image_id}/thumbnails/small")
        assert (answer.status_code, answer.headers["Retry-After"]) == (404, "1")


@pytest.mark.parametrize(
    ("trusted", "headers", "base"),
    [
        ((), {}, "http://localhost"),
        ((), {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil"}, "http://localhost"),
        (
            ("127.0.0.1",),
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com:8443"},
            "https://example.com:8443",
        ),
        (("127.0.0.1",), {"X-Forwarded-Proto": "javascript"}, ""),
        (("127.0.0.1",), {"X-Forwarded-Host": 'a"><script>'}, ""),
    ],
)
async def test_links_are_of_the_request_s_own_base(
    tmp_path: Path, trusted: tuple[str, ...], headers: dict[str, str], base: str
) -> None:
    async with client(**located(tmp_path, trusted_proxies=trusted)) as api, working(tmp_path, Eyes()):
        await finished(api, await uploaded(api, RED))
        body = (await api.get("/api/images/1", headers=headers)).json()
    assert body["thumbnails"]["small"] == f"{base}/api/images/1/thumbnails/small/file"
