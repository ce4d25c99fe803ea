"""Documents of /process: what they say of their file in all its spellings, hits of Elasticsearch, what is a video."""

import base64
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.video.containers import HEAD, is_video
from deployments.video.deployment import FrameBatch, Video
from serve_app.http.errors import InvalidVideo
from serve_app.inputs.documents import PICTURES, VIDEOS, WRONG_TYPE
from testbed.paths import shared
from testbed.pictures.images import encoded
from testbed.replicas import replica_class
from tests.unit.serving.api import Doubles, VideoDouble, client

PNG = encoded(Image.new("RGB", (40, 30), "teal"), "PNG")
TEXT = base64.b64encode(PNG).decode()
LABELS = [{"label": "espresso", "probability": 0.75}, {"label": "cup", "probability": 0.125}]
MP4 = b"\0\0\0\x18ftypmp42" + bytes(3)


async def process(*documents: Any, models: Doubles | None = None) -> dict[str, Any]:
    async with client(models=models) as api:
        answer = await api.post("/process", json={"documents": [*documents]})
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_every_type_is_taken_in_any_spelling_and_the_bytes_decide() -> None:
    video = base64.b64encode(MP4).decode()
    documents = [
        {"id": f"{kind} {number}", "source": source}
        for kind in sorted(PICTURES | VIDEOS)
        for number, source in enumerate(
            [
                {"content": TEXT, "file_type": kind.upper()},
                {"content": video, "file_type": f" .{kind} "},
                {"content": TEXT, "file_name": f"A b.{kind.title()}"},
            ]
        )
    ]
    answer = await process(*documents)
    assert (answer["number_documents_treated"], answer["list_id_not_treated"]) == (len(documents), [])


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"file_type": ""},
        {"file_type": None, "file_name": None, "fs": None},
        {"file_type": "image/jpeg"},
        {"file_type": "IMAGE/JPEG; charset=binary"},
        {"file_type": "image/x-ms-bmp"},
        {"file_type": "image/heic"},
        {"file_type": "video/quicktime"},
        {"file_type": "video/x-msvideo"},
        {"file_type": "application/mp4"},
        {"file_type": "application/octet-stream"},
        {"file_type": "application/octet-stream", "file_name": "a.jpg"},
        {"file_type": "jpe"},
        {"file_type": "photo.JPG"},
        {"file_type": "image"},
        {"file_type": 7},
        {"file_name": "photo"},
        {"file_name": "Scan 12.5 cm"},
        {"file_name": "export-1.2"},
        {"file_name": "C:\\photos.old\\photo.jpg"},
        {"fs": {"uri": "file:///data/images/lake.jpeg"}},
        {"fs": {"uri": "https://example.com/lake.jpg?size=large&v=1.docx#top"}},
        {"fs": {"uri": "https://example.com"}},
        {"fs": {"uri": "s3://bucket/v1.2/lake"}},
        {"fs": {"uri": "file:///data/Large%20DataSet/lake.JPG"}},
        {"fs": {"filename": "lake.jpg", "uri": "file:///x"}},
        {"fs": "lake.jpg"},
    ],
    ids=str,
)
async def test_a_picture_is_tagged_whatever_is_said_of_it(source: dict[str, Any]) -> None:
    answer = await process({"id": "a", "source": {"content": TEXT, **source}})
    assert answer["data"] == [{"id": "a", "source": {**source, "content": LABELS}}], answer


@pytest.mark.parametrize(
    "source",
    [
        {"file_type": "docx"},
        {"file_type": "pdf", "file_name": "a.jpg"},
        {"file_type": "application/pdf"},
        {"file_type": "text/plain"},
        {"file_name": "b.docx"},
        {"file_type": "application/octet-stream", "file_name": "b.docx"},
        {"fs": {"uri": "file:///data/b.txt"}},
    ],
    ids=str,
)
async def test_what_is_said_to_be_neither_picture_nor_video_is_left_out(source: dict[str, Any]) -> None:
    answer = await process({"id": "a", "source": {"content": TEXT, **source}})
    assert answer["list_id_not_treated"] == [{"a": WRONG_TYPE}]


async def test_hits_of_elasticsearch_are_answered_in_their_own_form_and_by_their_own_id() -> None:
    hit = {"_index": "photos", "_id": "lLVbi40B", "_score": 1.0, "_source": {"content": TEXT, "file_name": "a.jpg"}}
    answer = await process(
        hit,
        {"_id": "broken", "_source": {"content": base64.b64encode(PNG[:50]).decode()}},
        {"_id": "plain", "source": {"content": "@@@"}},
        {"id": "own", "_id": "hit", "source": {"content": "@@@"}},
        {"id": None, "_id": 7, "source": {"content": "@@@"}},
        {"_id": "empty", "_source": {"title": "no file"}},
        {"_id": True, "_source": {}},
        {"_id": "both", "source": None, "_source": {"content": TEXT}},
    )
    assert answer["data"] == [
        {**hit, "_source": {"content": LABELS, "file_name": "a.jpg"}},
        {"_id": "both", "source": None, "_source": {"content": LABELS}},
    ]
    names = [name for entry in answer["list_id_not_treated"] for name in entry]
    assert names == ["broken", "plain", "own", "7", "empty", "documents[6]"]


def _box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4) + kind + body


def _ftyp(brand: bytes) -> bytes:
    return _box(b"ftyp", brand + bytes(4) + b"isommp41") + bytes(500)


def _packets(size: int, before: int, number: int = 20, start: int = 0) -> bytes:
    packet = bytes(before) + b"\x47\x40\x11\x10" + bytes(size - 4 - before)
    return (packet * number)[start:]


def _stripes(mode: str, width: int) -> Image.Image:
    """A picture whose rows are the same, with the byte that begins a packet of a transport stream and others."""
    row = np.resize(np.array([0x47, 0x10, 0x20, 0x30], np.uint8), width * len(mode)).reshape(1, width, -1)
    return Image.fromarray(np.repeat(row, 40, axis=0).squeeze(), mode)


VIDEO_FILES = {
    **{f"ftyp {brand}": _ftyp(brand.encode()) for brand in ("isom", "mp42", "M4V ", "qt  ", "3gp5", "dash", "f4v ")},
    "segment": _box(b"styp", b"msdh" + bytes(4)) + bytes(50),
    "fragment": _box(b"moof", bytes(50)),
    "index first": _box(b"sidx", bytes(50)),
    "QuickTime, moov first": _box(b"moov", bytes(50)),
    "QuickTime, mdat first": _box(b"mdat", bytes(50)),
    "QuickTime, wide first": _box(b"wide") + _box(b"mdat", bytes(50)),
    "free first": _box(b"free", bytes(50)) + _ftyp(b"isom"),
    "large mdat": b"\0\0\0\1mdat" + bytes(50),
    "Matroska": b"\x1a\x45\xdf\xa3" + bytes(50),
    "AVI": b"RIFF\0\0\0\0AVI LIST" + bytes(50),
    "WMV": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(50),
    "FLV": b"FLV\x01" + bytes(50),
    "Ogg": b"OggS" + bytes(50),
    "program stream": b"\0\0\x01\xba" + bytes(50),
    "transport stream": _packets(188, 0),
    "transport stream from the middle of a packet": _packets(188, 0, start=100),
    "M2TS": _packets(192, 4),
    "transport stream with checksums": _packets(204, 0),
}
OTHER_FILES = {
    **{
        f"ftyp {brand}": _ftyp(brand.encode())
        for brand in ("heic", "heix", "heim", "hevc", "hevx", "mif1", "msf1", "avif", "avis", "crx ")
    },
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + _box(b"ftyp", b"jxl \0\0\0\0jxl "),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + _box(b"ftyp", b"jp2 \0\0\0\0jp2 "),
    "WebP": b"RIFF\0\0\0\0WEBPVP8 " + bytes(50),
    "sound": b"RIFF\0\0\0\0WAVEfmt " + bytes(50),
    "PNG": PNG,
    "GIF": encoded(Image.new("L", (9, 9)), "GIF"),
    "grey BMP of sync bytes": encoded(Image.new("RGB", (64, 64), (0x47, 0x47, 0x47)), "BMP"),
    **{
        f"{kind} with rows as long as packets, {mode} {width}": encoded(_stripes(mode, width), kind, **options)
        for kind, options in (("BMP", {}), ("TIFF", {}), ("PNG", {"compress_level": 0}))
        for mode, width in (("L", 187), ("L", 188), ("L", 192), ("L", 204), ("RGB", 64), ("RGB", 68), ("RGBA", 47))
    },
    "empty": b"",
    "text": b"this is text, whatever its name says " * 50,
    "letters": b"G" * 5000,
    "zeros": bytes(5000),
}


@pytest.mark.parametrize("data", VIDEO_FILES.values(), ids=VIDEO_FILES)
def test_films_are_known_by_their_first_bytes(data: bytes) -> None:
    assert is_video(data)
    assert is_video(data[:HEAD])


@pytest.mark.parametrize("data", OTHER_FILES.values(), ids=OTHER_FILES)
def test_pictures_and_all_else_are_no_films(data: bytes) -> None:
    assert not is_video(data)


CATEGORIES = ("categories", ("c.json", b'["a", "b"]'))


async def test_process_and_video_judge_alike() -> None:
    """The reader is asked for a film, and for nothing else."""
    models, asked = Doubles(), list[str]()
    models.video.fails = InvalidVideo("It cannot be read.")

    async def note() -> None:
        asked.append("the reader")

    models.video.before = note
    async with client(models=models) as api:
        for name, data in (VIDEO_FILES | OTHER_FILES).items():
            document = {"id": "a", "source": {"content": base64.b64encode(data).decode()}}
            await api.post("/process", json={"documents": [document]})
            by_process = len(asked)
            await api.post("/video", files=[("video", ("a.mp4", data)), CATEGORIES])
            assert (by_process, len(asked)) == ((1, 2) if name in VIDEO_FILES else (0, 0)), name
            asked.clear()


CASES = [
    "late265g.mp4",
    "latem4.mp4",
    "qtrle.mov",
    "opengop.mkv",
    "one.mp4",
    "tlrot.mp4",
    "tl.ts",
    "pq.mp4",
    "styp.mp4",
]


@pytest.mark.parametrize("name", CASES)
def test_the_films_of_the_cases_are_films(name: str) -> None:
    assert is_video(shared(f"cases/video/{name}").read_bytes())


class Reading(VideoDouble):
    """The real reader, without Ray."""

    async def frames(self, video: Any, *arguments: Any, **options: Any) -> AsyncGenerator[FrameBatch]:
        async for batch in replica_class(Video)(1, 600).frames(video, *arguments, **options):
            yield batch

    async def frame_jpegs(self, video: Any, *arguments: Any, **options: Any) -> list[bytes]:
        found: list[bytes] = await replica_class(Video)(1, 600).frame_jpegs(video, *arguments, **options)
        return found


async def test_a_segment_of_a_film_is_read_by_both_routes() -> None:
    data = shared("cases/video/styp.mp4").read_bytes()
    models = Doubles()
    models.replace(Reading())
    document = {"_id": "a", "_source": {"content": base64.b64encode(data).decode(), "fs": {"uri": "file:///a.mp4"}}}
    answer = await process(document, models=models)
    assert (answer["number_documents_treated"], answer["list_id_not_treated"]) == (1, [])
    async with client(models=models) as api:
        found = await api.post("/video", files=[("video", ("a.mp4", data)), CATEGORIES])
    assert (found.status_code, list(found.json())) == (201, ["a", "b"])


@pytest.mark.parametrize("name", ["house.heic", "x.avif"])
def test_the_pictures_of_the_cases_are_no_films(name: str) -> None:
    assert not is_video(shared(f"cases/images/{name}").read_bytes())
