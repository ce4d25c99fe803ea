"""Thumbnails, EXIF as plain values, and untrusted text."""

import io
import json
from typing import Any

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from deployments.catalogue.exif import MOST_TEXT, Json, read_exif
from deployments.catalogue.sql.texts import clean_name, printable
from deployments.catalogue.thumbnails import thumbnails
from deployments.pictures.decoding import decode_picture
from deployments.pictures.refusals import PictureRefused

KINDS = ("JPEG", "PNG")
TOLD = "ignore::UserWarning:PIL"  # Pillow warns of EXIF that it cannot read, and goes on


def encoded(exif: Image.Exif | bytes, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, kind, exif=exif)
    return buffer.getvalue()


def tagged(
    base: dict[int, Any], *, photo: dict[int, Any] | None = None, place: dict[int, Any] | None = None
) -> Image.Exif:
    exif = Image.Exif()
    exif.update(base)
    if photo:
        exif[ExifTags.IFD.Exif] = photo
    if place:
        exif[ExifTags.IFD.GPSInfo] = place
    return exif


def entries(data: bytes, *, gps: bool = False) -> dict[str, Json]:
    return read_exif(decode_picture(data, 10_000).exif, gps=gps)


@pytest.mark.parametrize(
    ("width", "height", "medium", "small"),
    [
        (1200, 800, (300, 200), (150, 100)),
        (800, 1200, (200, 300), (100, 150)),
        (300, 300, (300, 300), (150, 150)),
        (200, 100, (200, 100), (150, 75)),
        (10, 20, (10, 20), (10, 20)),
        (5000, 3, (300, 1), (150, 1)),
        (1, 4000, (1, 300), (1, 150)),
    ],
)
def test_thumbnails_fit_and_keep_their_proportions(width: int, height: int, medium: Any, small: Any) -> None:
    picture = Image.new("RGB", (width, height), (200, 40, 40))
    files = thumbnails(picture)
    assert picture.size == (width, height)
    for size, expected in (("medium", medium), ("small", small)):
        with Image.open(io.BytesIO(files[size])) as thumbnail:  # type: ignore[index]
            assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("JPEG", expected, "RGB")
            assert all(abs(a - b) < 8 for a, b in zip(thumbnail.getpixel((0, 0)), (200, 40, 40), strict=True))  # type: ignore[arg-type]


def test_a_thumbnail_says_nothing_of_where_it_was_taken() -> None:
    with Image.open(io.BytesIO(encoded(tagged({}, place={1: "N", 2: (52.0, 5.0, 24.0)})))) as picture:
        picture.load()
        for data in thumbnails(picture).values():
            assert b"Exif" not in data


def test_a_thumbnail_has_no_comment_of_the_upload() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "JPEG", comment=b"my house")
    for data in thumbnails(decode_picture(buffer.getvalue(), 10_000).image).values():
        assert b"my house" not in data


@pytest.mark.parametrize("kind", KINDS)
def test_exif_comes_as_plain_values(kind: str) -> None:
    exif = tagged(
        {
            ExifTags.Base.Make: "Åcme".encode(),
            ExifTags.Base.Orientation: 6,
            ExifTags.Base.XResolution: IFDRational(72, 1),
        },
        photo={
            ExifTags.Base.ExposureTime: IFDRational(1, 250),
            ExifTags.Base.ISOSpeedRatings: 200,
            ExifTags.Base.LensSpecification: (IFDRational(24), IFDRational(70), IFDRational(28, 10), IFDRational(0, 0)),
            ExifTags.Base.FNumber: IFDRational(0, 0),
            ExifTags.Base.UserComment: b"ASCII\0\0\0a comment\0\0",
            ExifTags.Base.MakerNote: b"secret" * 100,
            ExifTags.Base.FileSource: b"\x03",
        },
    )
    found = entries(encoded(exif, kind))
    assert found == {
        "Make": "Åcme",
        "Orientation": 6,
        "XResolution": 72.0,
        "ExposureTime": 0.004,
        "ISOSpeedRatings": 200,
        "LensSpecification": [24.0, 70.0, 2.8, None],
        "UserComment": "a comment",
        "FileSource": 3,
    }
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_told_only_when_asked(kind: str) -> None:
    place = {1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0), 5: b"\0", 6: 12.5}
    data = encoded(tagged({ExifTags.Base.Model: "m"}, place=place), kind)
    assert entries(data) == {"Model": "m"}
    where = entries(data, gps=True)["GPSInfo"]
    assert isinstance(where, dict)
    assert (where["latitude"], where["longitude"]) == (pytest.approx(-33.86), pytest.approx(151.2))
    assert (where["GPSLatitude"], where["GPSAltitude"], where["GPSAltitudeRef"]) == ([33.0, 51.0, 36.0], 12.5, 0)


@pytest.mark.parametrize("place", [{2: (1.0, 2.0)}, {2: (400.0, 0.0, 0.0)}, {1: "N"}, {2: (IFDRational(0, 0),) * 3}])
def test_a_place_that_is_none_gives_no_degrees(place: dict[int, Any]) -> None:
    where = entries(encoded(tagged({}, place=place)), gps=True).get("GPSInfo", {})
    assert isinstance(where, dict)
    assert "latitude" not in where


@pytest.mark.filterwarnings(TOLD)
def test_hostile_text_is_text_and_bounded() -> None:
    exif = tagged(
        {
            ExifTags.Base.ImageDescription: "<script>alert(1)</script>\x00\x1b[31m\u202e",
            ExifTags.Base.Artist: "x" * 100_000,
            ExifTags.Base.Software: "\x00\x01",
        }
    )
    found = entries(encoded(exif.tobytes()[:65_000] if len(exif.tobytes()) > 65_000 else exif))
    assert str(found.get("ImageDescription", "<script>alert(1)</script>[31m")).startswith("<script>alert(1)</script>")
    assert "\x1b" not in str(found)
    assert len(str(found.get("Artist", ""))) <= MOST_TEXT
    assert "Software" not in found


@pytest.mark.filterwarnings(TOLD)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [7, 9, 14, 20, 40, 60, 90])
def test_broken_exif_gives_what_can_be_read(kind: str, cut: int) -> None:
    whole = tagged({ExifTags.Base.Make: "a maker", ExifTags.Base.Model: "a model"}, photo={33434: IFDRational(1, 2)})
    found = entries(encoded(whole.tobytes()[:cut] + b"\xff" * 8, kind))
    json.dumps(found, allow_nan=False)


def test_exif_behind_the_pixels_of_a_png_is_read() -> None:
    data = encoded(tagged({ExifTags.Base.Make: "a maker"}), "PNG")
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    last = data.index(b"IEND") - 4
    assert data.index(b"IDAT") > start
    assert entries(data[:start] + data[end:last] + data[start:end] + data[last:]) == {"Make": "a maker"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_exif_says_nothing(kind: str) -> None:
    assert entries(encoded(b"", kind)) == {}


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"text"])
def test_what_is_no_picture_is_refused_before_its_exif_is_read(data: bytes) -> None:
    with pytest.raises(PictureRefused):
        entries(data)


def test_names_and_text_are_normal_and_bounded() -> None:
    assert clean_name("e\u0301.png") == "é.png"
    assert clean_name(" . ") == "unnamed"
    assert len(clean_name("a" * 400)) == 255
    assert clean_name("a." + "b" * 400) == ("a." + "b" * 400)[:255]
    assert clean_name("/") == clean_name("") == "unnamed"
    assert printable("a\u2028b\tc\x7f") == "a bc"
