"""The formats of uploads: which are taken, what is told of them, and what a browser gets of those that it cannot show."""

import asyncio
import io
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import numpy as np
import pytest
from PIL import ExifTags, Image

from deployments.pictures import decoding
from testbed.paths import shared
from testbed.pictures.images import GREEN, RED, encoded, heic, two_halves
from tests.unit.catalogue.in_process import WANTED, Eyes, finished, located, uploaded, working
from tests.unit.serving.api import client

CHROME_IMG = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
CHROME_PAGE = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX_IMG = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
FIREFOX_PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SAFARI_IMG = (
    "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
    "image/*;q=0.8,*/*;q=0.5"
)
OLD_SAFARI_IMG = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"

HALVES = two_halves()
HEIC = heic(HALVES, quality=95)
AVIF = encoded(HALVES, "AVIF", quality=95)
WEBP = encoded(HALVES, "WEBP", lossless=True)
MPO = encoded(HALVES, "MPO", save_all=True, append_images=[HALVES.rotate(180)], quality=95, subsampling=0)
# Files of phones and programs that name the container first and their format only among the brands.
NOKIA_HEIC, MIF_AVIF = HEIC[:8] + b"mif1" + HEIC[12:], AVIF[:8] + b"mif1" + AVIF[12:]
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(64)

TAKEN = {
    "JPEG": (encoded(HALVES, "JPEG", quality=95, subsampling=0), "JPEG", "image/jpeg"),
    "MPO": (MPO, "JPEG", "image/jpeg"),
    "PNG": (encoded(HALVES, "PNG"), "PNG", "image/png"),
    "WebP": (WEBP, "WEBP", "image/webp"),
    "HEIC": (HEIC, "HEIC", "image/heic"),
    "HEIC by its brands": (NOKIA_HEIC, "HEIC", "image/heic"),
    "AVIF": (AVIF, "AVIF", "image/avif"),
    "AVIF by its brands": (MIF_AVIF, "AVIF", "image/avif"),
}
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64)
LEFT_OUT = {kind: encoded(HALVES, kind) for kind in ("GIF", "BMP", "TIFF", "JPEG2000")} | {"JXL": JXL, "MP4": MP4}


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def assert_halves(image: Image.Image) -> None:
    """The left half is red and the right half green, within what a lossy format may change."""
    pixels = np.asarray(image.convert("RGB"), np.float64)
    width = pixels.shape[1]
    for colour, half in ((RED, pixels[:, : width // 2 - 6]), (GREEN, pixels[:, width // 2 + 6 :])):
        assert np.abs(half.reshape(-1, 3).mean(axis=0) - colour).max() < 8


def described(**more: Any) -> Image.Exif:
    """EXIF of a phone that was held upright, with the place, and `more` entries by their names."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Phones & Co"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2024:05:01 10:11:12"}
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 22.0, 0.0), 3: "E", 4: (4.0, 53.0, 0.0)}
    for name, value in more.items():
        exif[ExifTags.Base[name]] = value
    return exif


@pytest.mark.parametrize(("data", "kind", "media_type"), TAKEN.values(), ids=TAKEN)
async def test_every_format_is_kept_processed_shown_and_found(
    api: httpx.AsyncClient, data: bytes, kind: str, media_type: str
) -> None:
    image_id = await uploaded(api, data, "holiday.any")
    body = (await finished(api, image_id)).json()
    facts = {"width": 60, "height": 40, "format": kind, "size_bytes": len(data)}
    assert (body["status"], body["data"]["caption"]) == ("processed", "a cup on a table")
    assert body["data"]["metadata"].items() >= facts.items()
    for size in ("small", "medium"):
        thumbnail = picture((await api.get(body["thumbnails"][size])).content)
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (60, 40))
        assert_halves(thumbnail)
    original = await api.get(f"/api/images/{image_id}/file")
    assert (original.content, original.headers["Content-Type"]) == (data, media_type)
    like = (await api.post("/api/images/search", files={"file": ("like", data)})).json()["results"]
    assert like[0]["score"] > 0.99
    for accept in (CHROME_IMG, OLD_SAFARI_IMG):
        shown = await api.get(f"/api/images/{image_id}/file", headers={"Accept": accept})
        assert_halves(decoding.decode(shown.content, 10_000))


@pytest.mark.parametrize("data", LEFT_OUT.values(), ids=LEFT_OUT)
async def test_other_formats_are_refused(api: httpx.AsyncClient, data: bytes) -> None:
    answer = await api.post("/api/images", files={"file": ("a.jpg", data)})
    assert (answer.status_code, answer.json()) == (400, {"error": "Only JPEG and PNG files are allowed."})


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("data", [WEBP, HEIC, AVIF], ids=["WebP", "HEIC", "AVIF"])
async def test_what_is_cut_off_is_refused(api: httpx.AsyncClient, data: bytes, share: float) -> None:
    answer = await api.post("/api/images", files={"file": ("a", data[: int(share * len(data))])})
    assert (answer.status_code, answer.json()) == (400, {"error": "Broken or corrupted image file."})


async def test_the_operator_chooses_the_formats(tmp_path: Path) -> None:
    async with client(**located(tmp_path, catalogue_formats="PNG, .heif")) as api:
        for name, (data, kind, _) in TAKEN.items():
            answer = await api.post("/api/images", files={"file": ("a", data)})
            assert answer.status_code == (202 if kind in {"PNG", "HEIC"} else 400), name
        page = (await api.get("/", headers={"Accept": "text/html"})).text
    assert 'accept="image/png,.png,image/heic,.heic,.heif,.hif" multiple' in page
    assert "or paste one. PNG and HEIC.</p>" in page


async def test_the_page_asks_for_every_format_that_is_taken() -> None:
    async with client() as api:
        page = (await api.get("/", headers={"Accept": "text/html"})).text
    assert "or paste one. JPEG, PNG, WEBP, HEIC and AVIF.</p>" in page
    for each in ("image/heic", ".heic", ".heif", ".hif", "image/avif", ".avif", ".webp", ".jfif"):
        assert f",{each}," in page


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
async def test_what_the_picture_itself_turns_is_told_upright(
    api: httpx.AsyncClient, kind: str, orientation: int
) -> None:
    turn = decoding.UPRIGHT.get(orientation)
    # What is stored is such that turning it gives the halves.
    back = {6: 8, 8: 6}.get(orientation, orientation)
    stored = HALVES if turn is None else HALVES.transpose(decoding.UPRIGHT[back])
    exif = described(Orientation=orientation)
    data = (
        heic(stored, quality=95, exif=exif.tobytes())
        if kind == "HEIC"
        else encoded(stored, "AVIF", quality=95, exif=exif)
    )
    image_id = await uploaded(api, data)
    metadata = (await finished(api, image_id)).json()["data"]["metadata"]
    assert (metadata["width"], metadata["height"]) == (60, 40)
    assert metadata.get("Orientation", 1) == 1
    jpeg = picture((await api.get(f"/api/images/{image_id}/file?as=jpeg")).content)
    assert (jpeg.size, dict(jpeg.getexif())) == ((60, 40), {})
    assert_halves(jpeg)


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "WEBP"])
@pytest.mark.parametrize("gps", [False, True])
async def test_exif_is_told_as_a_jpeg_s(tmp_path: Path, kind: str, gps: bool) -> None:
    exif = described()
    data = heic(HALVES, exif=exif.tobytes()) if kind == "HEIC" else encoded(HALVES, kind, exif=exif)
    wanted = WANTED.__class__(**{**vars(WANTED), "gps": gps})
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes(), wanted=wanted):
        image_id = await uploaded(api, data)
        metadata = (await finished(api, image_id)).json()["data"]["metadata"]
        jpeg = picture((await api.get(f"/api/images/{image_id}/file?as=jpeg")).content)
    assert (metadata["Make"], metadata["DateTimeOriginal"]) == ("Phones & Co", "2024:05:01 10:11:12")
    assert ("GPSInfo" in metadata) == gps
    assert not gps or metadata["GPSInfo"]["latitude"] == pytest.approx(52.3667, abs=1e-3)
    assert dict(jpeg.getexif()) == {}


@pytest.mark.parametrize(
    ("data", "accept", "shown"),
    [
        (HEIC, None, "image/heic"),
        (HEIC, "*/*", "image/heic"),
        (HEIC, "image/*", "image/heic"),
        (HEIC, CHROME_IMG, "image/jpeg"),
        (HEIC, CHROME_PAGE, "image/jpeg"),
        (HEIC, FIREFOX_IMG, "image/jpeg"),
        (HEIC, FIREFOX_PAGE, "image/jpeg"),
        (HEIC, SAFARI_IMG, "image/heic"),
        (HEIC, "image/jpeg", "image/jpeg"),
        (HEIC, "image/jpeg, image/heic;q=0", "image/jpeg"),
        (HEIC, "IMAGE/HEIC;q=0.1, image/png", "image/heic"),
        (AVIF, CHROME_IMG, "image/avif"),
        (AVIF, OLD_SAFARI_IMG, "image/jpeg"),
        (WEBP, FIREFOX_IMG, "image/webp"),
        (WEBP, OLD_SAFARI_IMG, "image/jpeg"),
        (TAKEN["PNG"][0], CHROME_IMG, "image/png"),
        (TAKEN["PNG"][0], "image/jpeg", "image/png"),
        (TAKEN["JPEG"][0], FIREFOX_PAGE, "image/jpeg"),
    ],
)
async def test_a_browser_gets_what_it_can_show(
    api: httpx.AsyncClient, data: bytes, accept: str | None, shown: str
) -> None:
    path = f"/api/images/{await uploaded(api, data)}/file"
    headers = {} if accept is None else {"Accept": accept}
    answer = await api.get(path, headers=headers)
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == (shown, "Accept")
    assert_halves(decoding.decode(answer.content, 10_000))
    head = await api.head(path, headers=headers)
    same = ("Content-Type", "Content-Length", "ETag", "Vary", "Content-Disposition", "Cache-Control")
    assert {name: head.headers[name] for name in same} == {name: answer.headers[name] for name in same}
    again = await api.get(path, headers={**headers, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Vary"]) == (304, "Accept")


async def test_a_query_overrules_the_accept_header(api: httpx.AsyncClient) -> None:
    path = f"/api/images/{await uploaded(api, HEIC, 'house.heic')}/file"
    original = await api.get(f"{path}?as=original", headers={"Accept": CHROME_IMG})
    jpeg = await api.get(f"{path}?as=jpeg", headers={"Accept": SAFARI_IMG})
    assert (original.content, original.headers["Content-Type"]) == (HEIC, "image/heic")
    assert jpeg.headers["Content-Type"] == "image/jpeg"
    assert original.headers["ETag"] != jpeg.headers["ETag"]
    assert original.headers["Content-Disposition"] == "inline; filename*=UTF-8''house.heic"
    assert jpeg.headers["Content-Disposition"] == "inline; filename*=UTF-8''house.jpg"
    assert (jpeg.headers["X-Content-Type-Options"], jpeg.headers["Cache-Control"]) == (
        "nosniff",
        "private, max-age=3600",
    )
    assert (await api.get(f"{path}?as=gif")).status_code == 422


async def test_the_jpeg_of_a_jpeg_is_the_file_itself(api: httpx.AsyncClient) -> None:
    image_id = await uploaded(api, MPO)
    assert (await api.get(f"/api/images/{image_id}/file?as=jpeg")).content == MPO


async def test_a_picture_that_is_longer_than_a_jpeg_can_be_is_scaled(api: httpx.AsyncClient) -> None:
    image_id = await uploaded(api, encoded(Image.new("L", (70_000, 2), 128), "PNG"))
    jpeg = await api.get(f"/api/images/{image_id}/file?as=jpeg")
    assert picture(jpeg.content).size == (65_500, 2)


async def test_the_jpeg_is_kept_in_a_store_elsewhere(tmp_path: Path) -> None:
    async with client(**located(tmp_path, store_url=f"memory://{uuid.uuid4().hex}")) as api:
        image_id = await uploaded(api, HEIC)
        first, again = [await api.get(f"/api/images/{image_id}/file?as=jpeg") for _ in range(2)]
    assert first.content == again.content
    assert first.headers["Content-Length"] == str(len(first.content))
    assert_halves(picture(first.content))


async def test_transparency_lies_on_white_in_the_jpeg(api: httpx.AsyncClient) -> None:
    clear = encoded(Image.new("RGBA", (40, 30), (0, 0, 255, 0)), "WEBP", lossless=True)
    image_id = await uploaded(api, clear)
    jpeg = picture((await api.get(f"/api/images/{image_id}/file?as=jpeg")).content)
    assert np.asarray(jpeg).min() > 250


async def test_the_jpeg_is_made_once_and_deleted_with_its_image(
    api: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await uploaded(api, HEIC)
    await finished(api, image_id)
    made = Mock(wraps=decoding.decode)
    monkeypatch.setattr(decoding, "decode", made)
    answers = [await api.get(f"/api/images/{image_id}/file?as=jpeg") for _ in range(3)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert made.call_count == 1
    assert (await api.delete(f"/api/images/{image_id}")).status_code == 204
    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]
    assert (await api.get(f"/api/images/{image_id}/file?as=jpeg")).status_code == 404


async def test_an_image_that_is_deleted_while_its_jpeg_is_made_leaves_nothing(
    api: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = await uploaded(api, HEIC)
    await finished(api, image_id)
    loop, decode = asyncio.get_running_loop(), decoding.decode

    def slow(*given: Any, **more: Any) -> Image.Image:
        deletion = asyncio.run_coroutine_threadsafe(api.delete(f"/api/images/{image_id}"), loop)
        assert deletion.result().status_code == 204
        return decode(*given, **more)

    monkeypatch.setattr(decoding, "decode", slow)
    answer = await api.get(f"/api/images/{image_id}/file?as=jpeg")
    assert (answer.status_code, answer.json()) == (404, {"error": "Image not found"})
    assert not [path for path in (tmp_path / "pictures").rglob("*") if path.is_file()]


async def test_a_jpeg_that_would_have_more_pixels_than_are_accepted_now(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api:
        image_id = await uploaded(api, HEIC)
    async with client(**located(tmp_path, max_megapixels=0.001)) as api:
        answer = await api.get(f"/api/images/{image_id}/file?as=jpeg")
    assert (answer.status_code, list(answer.json())) == (413, ["error"])


@pytest.mark.parametrize(("name", "kind", "size"), [("house.heic", "HEIC", (275, 232)), ("x.avif", "AVIF", (240, 160))])
async def test_the_cases(api: httpx.AsyncClient, name: str, kind: str, size: tuple[int, int]) -> None:
    data = shared(f"cases/images/{name}").read_bytes()
    image_id = await uploaded(api, data, name)
    metadata = (await finished(api, image_id)).json()["data"]["metadata"]
    assert (metadata["format"], metadata["width"], metadata["height"]) == (kind, *size)
    jpeg = await api.get(f"/api/images/{image_id}/file", headers={"Accept": OLD_SAFARI_IMG})
    assert (picture(jpeg.content).format, picture(jpeg.content).size) == ("JPEG", size)
    assert (await api.get(f"/api/images/{image_id}/file")).content == data
