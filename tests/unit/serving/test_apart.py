"""HEIC, AVIF, JPEG 2000 and JPEG XL are decoded in processes of their own, within limits."""

import io
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 - it registers itself
import pytest
from PIL import ExifTags, Image

from deployments.pictures import apart
from deployments.pictures.decoding import UPRIGHT, decode_picture
from deployments.pictures.formats import APART, NAMES, kind_apart
from deployments.pictures.jxl_header import JxlHeader, jxl_header
from deployments.pictures.refusals import PictureBroken, PictureTooCostly, PictureTooLarge
from deployments.sandbox.parent import Crashed
from testbed.pictures.images import GREEN, RED, encoded, heic, two_halves

pillow_heif.register_heif_opener()

MAX_PIXELS = 150_000_000
OPTIONS: dict[str, dict[str, Any]] = {
    "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
    "AVIF": {"quality": 100, "subsampling": "4:4:4", "speed": 10},
    "JPEG2000": {"irreversible": False},
    "JXL": {"lossless": True},
}


def written(image: Image.Image, kind: str, **more: Any) -> bytes:
    return encoded(image, kind, **OPTIONS[kind], **more)


def gradient(width: int, height: int) -> Image.Image:
    """Every pixel differs from those around it."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns % 256, rows % 256, (rows + columns) % 256], 2).astype(np.uint8))


@pytest.mark.parametrize("size", [(64, 48), (1, 1), (63, 65), (1, 300), (700, 513)])
@pytest.mark.parametrize("kind", APART)
def test_every_pixel_is_that_of_the_picture(kind: str, size: tuple[int, int]) -> None:
    picture = gradient(*size)
    decoded = decode_picture(written(picture, kind), MAX_PIXELS)
    assert (decoded.format, decoded.size, decoded.image.size) == (kind, size, size)
    difference = np.abs(np.asarray(decoded.image, int) - np.asarray(picture, int))
    assert difference.max() <= (0 if kind in {"JPEG2000", "JXL"} else 3)


@pytest.mark.parametrize("kind", APART)
def test_the_size_is_refused_before_anything_is_decoded(kind: str) -> None:
    with pytest.raises(PictureTooLarge, match=r"300 × 200 pixels; at most 0\.05 megapixels"):
        decode_picture(written(gradient(300, 200), kind), 50_000)


@pytest.mark.parametrize("kind", APART)
def test_a_file_that_is_cut_off_is_refused_by_its_name(kind: str) -> None:
    data = written(gradient(300, 200), kind)
    with pytest.raises(PictureBroken, match=NAMES[kind]):
        decode_picture(data[: len(data) // 2], MAX_PIXELS)


@pytest.mark.parametrize("broken", [b"??\0*\0\0\0\x08", b"MM\0*\x7f\xff\xff\xff", bytes(8)])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_costs_no_picture(broken: bytes) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Phones & Co", 6
    good = b"MM\0*\0\0\0\x08"
    data = heic(two_halves(), exif=exif.tobytes())
    assert data.count(good) == 1
    decoded = decode_picture(data.replace(good, broken), MAX_PIXELS)
    assert decoded.size == decoded.image.size == (40, 60)


@pytest.mark.parametrize("kind", APART)
def test_bytes_that_were_changed_are_read_or_refused(kind: str) -> None:
    data, random = written(gradient(64, 48), kind), np.random.default_rng(1)
    for _ in range(8):
        changed = bytearray(data)
        for place in random.integers(0, len(data), 3):
            changed[place] = random.integers(256)
        with suppress(PictureBroken, PictureTooLarge, PictureTooCostly):
            assert decode_picture(bytes(changed), MAX_PIXELS).image.mode == "RGB"


def test_a_picture_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.pictures.budget.SECONDS", 0.002)
    with pytest.raises(PictureTooCostly, match=r"more than 0\.0 s"):
        decode_picture(written(gradient(700, 500), "JXL"), MAX_PIXELS)


def test_a_picture_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MEMORY_BYTES", 150 << 20)
    monkeypatch.setattr(apart, "BYTES_A_PIXEL", 0)
    with pytest.raises((PictureTooCostly, PictureBroken), match="save it again"):
        decode_picture(written(Image.new("RGB", (6000, 5000)), "JPEG2000"), MAX_PIXELS)


def test_a_heic_whose_frame_is_larger_than_it_says_is_refused() -> None:
    said, small = (struct.pack(">4sIII", b"ispe", 0, *size) for size in ((640, 480), (64, 48)))
    data = written(gradient(640, 480), "HEIF")
    assert said in data
    with pytest.raises(PictureBroken, match="HEIC"):
        decode_picture(data.replace(said, small), MAX_PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(orientation: int) -> None:
    """Its encoder writes `irot` and `imir`, and the same once more as EXIF."""
    exif = Image.Exif()
    exif[apart.ORIENTATION] = orientation
    decoded = decode_picture(written(two_halves(), "HEIF", exif=exif.tobytes()), MAX_PIXELS)
    expected = two_halves() if orientation == 1 else two_halves().transpose(UPRIGHT[orientation])
    assert decoded.size == expected.size
    assert np.abs(np.asarray(decoded.image, int) - np.asarray(expected, int)).max() <= 3
    assert apart.ORIENTATION not in decoded.exif


def test_an_avif_is_turned_once() -> None:
    exif = Image.Exif()
    exif[apart.ORIENTATION] = 6
    turned = two_halves().transpose(Image.Transpose.ROTATE_90)
    decoded = decode_picture(written(turned, "AVIF", exif=exif), MAX_PIXELS)
    assert decoded.size == (60, 40)
    left, right = (np.array(decoded.image.getpixel((column, 20)), int) for column in (10, 50))
    assert np.abs(left - RED).max() < 12
    assert np.abs(right - GREEN).max() < 12


@pytest.mark.parametrize("alpha", [0, 255])
@pytest.mark.parametrize("kind", APART)
def test_transparency_lies_on_white(kind: str, alpha: int) -> None:
    clear = Image.new("RGBA", (64, 64), (200, 0, 0, alpha))
    red, green, blue = decode_picture(written(clear, kind), MAX_PIXELS).image.getpixel((9, 9))  # type: ignore[misc]
    expected = (200, 0, 0) if alpha else (255, 255, 255)
    assert max(abs(red - expected[0]), abs(green - expected[1]), abs(blue - expected[2])) <= 3


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (300, 200), (12_345, 7), (640, 480), (1, 70_000), (500, 400)])
def test_the_size_of_a_jpeg_xl_stands_in_its_header(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    assert jxl_header(encoded(picture, "JXL", effort=1)) == JxlHeader(size, 1)
    boxed = encoded(picture, "JXL", effort=1, use_container=True, exif=Image.Exif().tobytes())
    assert jxl_header(boxed) == JxlHeader(size, 1)


def test_formats_are_told_by_their_first_bytes() -> None:
    files = {kind: written(gradient(64, 48), kind) for kind in APART}
    assert {kind: kind_apart(data) for kind, data in files.items()} == {kind: kind for kind in APART}
    assert kind_apart(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert kind_apart(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") == "HEIF"
    assert kind_apart(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1") is None
    assert kind_apart(encoded(two_halves(), "JPEG")) is None


def test_an_animation_gives_its_first_picture() -> None:
    buffer = io.BytesIO()
    first, second = Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), GREEN)
    first.save(buffer, "AVIF", save_all=True, append_images=[second], duration=100)
    pixel = decode_picture(buffer.getvalue(), MAX_PIXELS).image.getpixel((30, 30))
    assert np.abs(np.array(pixel, int) - RED).max() < 12


def test_a_fault_of_the_decoder_s_own_is_not_the_file_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "DECODER", "deployments.pictures.no_such_module")
    with pytest.raises(Crashed, match="ended with 1"):
        decode_picture(written(gradient(64, 48), "AVIF"), MAX_PIXELS)
