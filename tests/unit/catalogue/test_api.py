"""Family E over HTTP, on a real SQLite and folder, with doubles for the models. Its files are tested in test_files.py."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from deployments.storage.folder import Folder
from testbed.pictures.images import encoded
from tests.unit.catalogue.in_process import BLUE, GIF, RED, WANTED, Eyes, finished, located, uploaded, working
from tests.unit.serving.api import Doubles, client


async def test_an_upload_is_processed_and_told(api: httpx.AsyncClient) -> None:
    answer = await finished(api, await uploaded(api, RED, "../../etc/red.png"))
    body = answer.json()
    data = body["data"]
    assert (answer.status_code, body["status"], body["error"], body["reason"]) == (200, "processed", None, None)
    assert (data["id"], data["filename"], data["caption"]) == (1, "red.png", "a cup on a table")
    assert data["metadata"] == {"width": 400, "height": 200, "format": "PNG", "size_bytes": len(RED)}
    assert data["tags"] == [{"label": "cup", "probability": 0.75}]
    assert data["processed_at"].endswith("+00:00")
    assert data["processing_time_s"] > 0
    assert body["thumbnails"] == {
        size: f"http://localhost/api/images/1/thumbnails/{size}/file" for size in ("small", "medium")
    }


async def test_a_worker_is_woken_by_an_upload(tmp_path: Path) -> None:
    models = Doubles()
    async with client(models=models, **located(tmp_path)) as api:
        await uploaded(api, RED)
        await asyncio.sleep(0)
        assert models.cataloguer.woken == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "No file uploaded."),
        ({"other": ("a.png", RED)}, "No file uploaded."),
        ({"file": (None, "text")}, "No file uploaded."),
        ({"file": ("a.png", b"this is text")}, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.jpg", GIF)}, "Only JPEG and PNG files are allowed."),
        ({"file": ("a.png", b"")}, "Broken or corrupted image file."),
        ({"file": ("a.png", RED[:60])}, "Broken or corrupted image file."),
        ({"file": ("a.jpg", BLUE[: len(BLUE) // 2])}, "Broken or corrupted image file."),
        ({"file": ("a.jpg", b"\xff\xd8\xff" + bytes(100))}, "Broken or corrupted image file."),
    ],
)
async def test_files_that_are_not_images_are_refused_and_leave_no_row(
    api: httpx.AsyncClient, files: dict[str, Any], message: str
) -> None:
    answer = await api.post("/api/images", files=files or None)
    assert (answer.status_code, answer.json()) == (400, {"error": message})
    assert (await api.get("/api/images")).json() == []


async def test_the_bytes_decide_not_the_name(api: httpx.AsyncClient) -> None:
    answer = await finished(api, await uploaded(api, BLUE, "a.png"))
    assert answer.json()["data"]["metadata"]["format"] == "JPEG"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../x.png", "x.png"),
        ("a" * 300 + ".png", "a" * 251 + ".png"),
        ("größe 图 🗺.png", "größe 图 🗺.png"),
        ("<script>alert(1)</script>.png", "script>.png"),
        ("", "unnamed"),
    ],
)
async def test_hostile_file_names(api: httpx.AsyncClient, name: str, kept: str) -> None:
    body = b"".join(
        [
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode(),
            b'"\r\n\r\n' + RED + b"\r\n--x--\r\n",
        ]
    )
    answer = await api.post("/api/images", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 202, answer.text
    details = (await finished(api, answer.json()["image_id"])).json()
    assert details["data"]["filename"] == kept
    original = await api.get(f"/api/images/{answer.json()['image_id']}/file")
    assert original.content == RED
    assert "\n" not in original.headers["Content-Disposition"]


async def test_the_same_file_twice_at_once_is_two_images_and_one_file(api: httpx.AsyncClient, tmp_path: Path) -> None:
    ids = await asyncio.gather(*(uploaded(api, RED) for _ in range(8)))
    assert sorted(ids) == list(range(1, 9))
    for image_id in ids:
        assert (await finished(api, image_id)).json()["status"] == "processed"
    assert len([path for path in (tmp_path / "pictures" / "originals").rglob("*") if path.is_file()]) == 1
    for image_id in ids[:-1]:
        assert (await api.delete(f"/api/images/{image_id}")).status_code == 204
    assert (await api.get(f"/api/images/{ids[-1]}/file")).content == RED
    assert (await api.delete(f"/api/images/{ids[-1]}")).status_code == 204
    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]


async def test_the_list_has_pages_and_a_status(api: httpx.AsyncClient) -> None:
    ids = [await uploaded(api, RED) for _ in range(5)]
    for image_id in ids:
        await finished(api, image_id)
    url, seen = "http://localhost/api/images?limit=2&status=processed", list[int]()
    for pages in range(1, 4):
        answer = await api.get(url)
        seen += [image["id"] for image in answer.json()]
        if pages < 3:
            url = answer.links["next"]["url"]
            assert "status=processed" in url
    assert (seen, "Link" in answer.headers) == (ids, False)
    assert (await api.get("/api/images?status=failed")).json() == []
    newest = (await api.get("/api/images?order=newest&limit=1")).json()
    assert newest == [{"id": ids[-1], "filename": "a.png", "status": "processed"}]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "status=lost", "limit=x", "order=random"])
async def test_a_list_that_cannot_be(api: httpx.AsyncClient, query: str) -> None:
    answer = await api.get(f"/api/images?{query}")
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")


async def test_a_cursor_of_another_list_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/images?cursor=b2xkZXN0Og")
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


@pytest.mark.parametrize("path", ["99", "0", "-1", "99999999999999999999", "99/file", "99/thumbnails/small"])
async def test_an_image_that_is_not_there(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(f"/api/images/{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": "Image not found"})


async def test_deleted_is_gone(api: httpx.AsyncClient) -> None:
    image_id = await uploaded(api, RED)
    await finished(api, image_id)
    answer = await api.delete(f"/api/images/{image_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for path in ("", "/file", "/thumbnails/small", "/thumbnails/medium/file"):
        assert (await api.get(f"/api/images/{image_id}{path}")).status_code == 404
    assert (await api.delete(f"/api/images/{image_id}")).status_code == 404
    assert await uploaded(api, RED) == image_id + 1


async def test_the_statistics_of_nothing_are_zeros(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/stats")).json() == {
        "images": {"total_images": 0, "processed_images": 0, "failed_images": 0, "processing_images": 0},
        "average_processing_time": "0.00s",
        "success_failures_rate": {"success_rate": "0.00%", "failure_rate": "0.00%"},
    }


async def test_the_statistics(tmp_path: Path) -> None:
    eyes = Eyes(RuntimeError("first"))
    async with client(**located(tmp_path)) as api:
        async with working(tmp_path, eyes, max_attempts=1):
            failed = await finished(api, await uploaded(api, RED))
            for _ in range(2):
                await finished(api, await uploaded(api, RED))
        await uploaded(api, RED)
        assert failed.status_code == 400
        stats = (await api.get("/api/stats")).json()
    assert stats["images"] == {"total_images": 4, "processed_images": 2, "failed_images": 1, "processing_images": 1}
    assert stats["success_failures_rate"] == {"success_rate": "66.67%", "failure_rate": "33.33%"}


async def test_a_failed_image_says_so(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes(RuntimeError("x")), max_attempts=1):
        answer = await finished(api, await uploaded(api, RED))
        thumbnail = await api.get("/api/images/1/thumbnails/small")
    body = answer.json()
    assert (answer.status_code, body["status"], body["error"]) == (400, "failed", "Processing Failure")
    assert body["reason"] == "Something broke here (RuntimeError)."
    assert body["data"]["caption"] is None
    assert body["thumbnails"] == {"small": None, "medium": None}
    assert (thumbnail.status_code, thumbnail.json()) == (400, {"error": "Processing Failure"})


async def test_search_by_an_image_finds_the_most_similar_first(api: httpx.AsyncClient) -> None:
    red, blue = await uploaded(api, RED), await uploaded(api, BLUE)
    for image_id in (red, blue):
        await finished(api, image_id)
    answer = await api.post("/api/images/search?k=2", files={"file": ("any.gif", GIF)})
    body = answer.json()
    assert (body["model"], [hit["id"] for hit in body["results"]]) == ("test/double", [blue, red])
    assert body["results"][0]["score"] > 0.99
    assert body["results"][0].keys() == {"id", "filename", "score", "caption", "tags", "thumbnails"}
    some = await api.post("/api/images/search?min_score=0.9", files={"file": ("any.gif", GIF)})
    assert [hit["id"] for hit in some.json()["results"]] == [blue]


async def test_search_by_words(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/images/search?q=a+cup")).json()["results"] == []
    await finished(api, await uploaded(api, RED))
    assert len((await api.get("/api/images/search?q=a+cup")).json()["results"]) == 1


@pytest.mark.parametrize("query", ["", "q=", "q=a&k=0", "q=a&k=101", "q=a&min_score=nan", "q=a&min_score=2"])
async def test_impossible_searches_are_refused(api: httpx.AsyncClient, query: str) -> None:
    assert (await api.get(f"/api/images/search?{query}")).status_code == 422


async def test_a_search_by_no_image(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/images/search")).json() == {"error": "No file uploaded."}
    answer = await api.post("/api/images/search", files={"file": ("a.png", b"text")})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_without_the_catalogue_every_route_says_so(tmp_path: Path) -> None:
    models = Doubles()
    models.cataloguer.models = ()
    async with client(models=models, **located(tmp_path)) as api:
        for path in ("/api/images", "/api/stats", "/api/images/1", "/api/images/search?q=a"):
            answer = await api.get(path)
            assert (answer.status_code, "CATALOGUER_ENABLED" in answer.json()["error"]) == (503, True), path
        models.clip.fails = AssertionError("asked for nothing")
        for path in ("/api/images", "/api/images/search"):
            answer = await api.post(path, files={"file": ("a.png", RED)})
            assert (answer.status_code, "CATALOGUER_ENABLED" in answer.json()["error"]) == (503, True), path


async def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    async with client(**located(tmp_path, max_image_mb=0.0001)) as api:
        answer = await api.post("/api/images", files={"file": ("a.png", RED)})
        assert (answer.status_code, list(answer.json())) == (413, ["error"])
    async with client(**located(tmp_path, max_megapixels=0.01)) as api:
        answer = await api.post("/api/images", files={"file": ("a.png", RED)})
        assert (answer.status_code, "megapixels" in answer.json()["error"]) == (413, True)


async def test_a_full_disk_is_told_and_leaves_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: Folder, _path: str, _part: str, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with client(**located(tmp_path)) as api:
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "write", full)
            answer = await api.post("/api/images", files={"file": ("a.png", RED)})
            assert (answer.status_code, list(answer.json())) == (507, ["error"])
            assert (await api.get("/api/images")).json() == []
        await uploaded(api, RED)


async def test_a_database_that_is_away_comes_back_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.catalogue.opened.REFUSED_S", 0)
    folder = tmp_path / "later"
    folder.write_text("a file where the folder should be")
    async with client(**located(folder)) as api:
        answer = await api.post("/api/images", files={"file": ("a.png", RED)})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert list(answer.json()) == ["error"]
        folder.unlink()
        assert await uploaded(api, RED) == 1


async def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    async with client(**located(tmp_path, store_url="ftp://127.0.0.1:1/pictures")) as api:
        for _ in range(2):
            answer = await api.post("/api/images", files={"file": ("a.png", RED)})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert "does not answer" in answer.json()["error"]


async def test_places_are_told_only_where_the_operator_says_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "<b>maker</b>"
    exif[0x8825] = {1: "N", 2: (52.0, 22.0, 0.0), 3: "E", 4: (4.0, 53.0, 0.0)}
    data = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif)
    async with client(**located(tmp_path)) as api:
        async with working(tmp_path, Eyes()):
            silent = (await finished(api, await uploaded(api, data))).json()["data"]["metadata"]
        async with working(tmp_path, Eyes(), wanted=WANTED.__class__(**{**vars(WANTED), "gps": True})):
            telling = (await finished(api, await uploaded(api, data))).json()["data"]["metadata"]
    assert silent["Make"] == "<b>maker</b>"
    assert "GPSInfo" not in silent
    assert telling["GPSInfo"]["latitude"] == pytest.approx(52.3667, abs=1e-3)
