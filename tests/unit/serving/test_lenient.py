"""Oddities that lose no pixel are read; what is cut off is not; neither takes long, however large the file is."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from deployments.pictures.budget import Budget, OverBudget
from deployments.pictures.decoding import check, decode_picture
from deployments.pictures.mending import jpeg as jpeg_files
from deployments.pictures.mending import png as png_files
from deployments.pictures.mending.mend import mend
from deployments.pictures.refusals import PictureBroken, PictureRefused, PictureTooCostly
from testbed.hostile import jpegs
from testbed.hostile.jpegs import EOI
from testbed.hostile.pngs import chunk, zeros
from testbed.paths import SHARED
from testbed.pictures import odd
from testbed.pictures.images import encoded, two_halves
from testbed.pictures.odd import ODD, ODD_PNGS, jpeg, png

MAX_PIXELS = 150_000_000
CASES = SHARED / "cases" / "images"
NOISE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
LARGE_SECONDS = 5  # of a core, for what would take a decoder minutes


def mended(data: bytes) -> bytes:
    return mend(data, Budget(len(data))).data


def without_end(**options: Any) -> bytes:
    """A JPEG of noise, every bit of which matters."""
    return encoded(Image.fromarray(NOISE), "JPEG", **{"quality": 90, **options}).removesuffix(EOI)


@pytest.mark.parametrize("name", ODD)
def test_an_oddity_is_read(name: str) -> None:
    picture = decode_picture(ODD[name](), MAX_PIXELS)
    assert picture.size == odd.SIZE
    assert np.abs(np.asarray(picture.image, int) - np.asarray(two_halves(), int)).max() < 8


@pytest.mark.skipif(not CASES.is_dir(), reason="The cases of ../shared are NOT tested: there are none.")
@pytest.mark.parametrize(
    "name",
    ["jpeg_101_ffda_behind_eoi.jpg", "jpeg_without_eoi.jpg", "png_zTXt_1MiB.png", "png_bad_crc_of_text.png"],
)
def test_a_case_has_its_colour(name: str) -> None:
    pixels = np.asarray(decode_picture((CASES / name).read_bytes(), MAX_PIXELS).image, int)
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels - (200, 50, 0)).max() <= 2


def test_an_mpo_is_a_jpeg() -> None:
    assert decode_picture(ODD["jpeg and others, an MPO"](), MAX_PIXELS).format == "JPEG"


def test_the_last_column_of_a_bmp_needs_no_padding() -> None:
    assert decode_picture(odd.bmp_without_padding(), MAX_PIXELS).size == (59, 40)


@pytest.mark.parametrize("name", [name for name in ODD if name.startswith(("jpeg ", "png "))])
def test_the_catalogue_takes_it_too(name: str) -> None:
    data = ODD[name]()
    if not name.startswith("jpeg 2000"):
        assert check(data, MAX_PIXELS, "PNG" if name in ODD_PNGS else "JPEG") == odd.SIZE


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 2},
                                     {"subsampling": 2}, {"quality": 100}])  # fmt: skip
@pytest.mark.parametrize("missing", [1, 2, 3, 5, 30, 300])
def test_a_jpeg_whose_pixels_are_cut_off_is_refused(options: dict[str, Any], missing: int) -> None:
    whole = without_end(**options)
    expected = np.asarray(decode_picture(whole + EOI, MAX_PIXELS).image)
    assert (np.asarray(decode_picture(whole, MAX_PIXELS).image) == expected).all()
    with pytest.raises(PictureBroken, match="This JPEG is cut off"):
        decode_picture(whole[:-missing], MAX_PIXELS)
    with pytest.raises(PictureBroken, match="This JPEG is cut off"):
        decode_picture(whole[:-missing] + bytes(5000), MAX_PIXELS)


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = without_end(progressive=True)
    scans = [start for marker, start, *_ in jpeg_files.segments(data) if marker == jpeg_files.SCAN]
    assert len(scans) > 5
    for start in scans[1:]:
        with pytest.raises(PictureBroken, match="This JPEG is cut off"):
            decode_picture(data[:start], MAX_PIXELS)


def test_the_end_of_arithmetic_codes_cannot_be_told() -> None:
    data = jpegs.one_scan(0xC9, 60, 40, 3, bytes(50))
    assert decode_picture(data, MAX_PIXELS).size == (60, 40)
    with pytest.raises(PictureBroken, match="This JPEG is cut off"):
        decode_picture(data.removesuffix(EOI), MAX_PIXELS)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_a_png_is_read_until_a_pixel_is_missing(mode: str) -> None:
    """Behind the last code of the pixels stand 4 bytes of their checksum, 4 of their chunk's, and 12 of the end."""
    picture = two_halves().convert(mode)
    data = encoded(picture, "PNG")
    for missing in range(1, 21):
        assert decode_picture(data[:-missing], MAX_PIXELS).size == picture.size
    with pytest.raises(PictureBroken, match=r"This PNG is cut off: part of its pixels is missing\. Send"):
        decode_picture(data[:-30], MAX_PIXELS)


def test_an_interlaced_png_is_read_until_a_pixel_is_missing() -> None:
    passes = [(1, 1), (1, 1), (1, 1), (3, 1), (2, 2), (5, 1)]  # of 5 × 3 pixels: columns and rows
    rows = zlib.compress(b"".join((b"\0" + bytes(range(columns))) * count for columns, count in passes))
    start = png_files.SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 3, 8, 0, 0, 0, 1))
    assert decode_picture(start + chunk(b"IDAT", rows)[:-8], MAX_PIXELS).size == (5, 3)
    with pytest.raises(PictureBroken, match="This PNG is cut off"):
        decode_picture(start + chunk(b"IDAT", rows)[:-12], MAX_PIXELS)


@pytest.mark.parametrize("kind", ["IHDR", "PLTE", "IDAT"])
def test_a_chunk_that_a_png_needs_must_be_right(kind: str) -> None:
    data = bytearray(encoded(two_halves("P"), "PNG"))
    place = data.index(kind.encode())
    [length] = struct.unpack_from(">I", data, place - 4)
    data[place + 4 + length - 1] ^= 0xFF
    if kind == "IHDR":
        data[place + 4 + length - 1] ^= 0xFF  # it is right, but its checksum is not
        data[place + 4 + length] ^= 0xFF
    with pytest.raises(PictureBroken) as refused:
        decode_picture(bytes(data), MAX_PIXELS)
    assert str(refused.value) == (
        f"This PNG is damaged: its chunk {kind} has a wrong checksum. Save or export the picture again."
    )


@pytest.mark.parametrize(
    ("broken", "note"),
    [
        (odd.wrong(b"tRNS", bytes(6)), "The PNG's chunk tRNS (transparency) is broken or too long: it is left out."),
        (odd.wrong(b"gAMA", bytes(4)), "The PNG's chunk gAMA (gamma) is broken or too long: it is left out."),
        (chunk(b"iCCP", b"ICC\0\0" + zeros(1 << 24)),
         "The PNG's chunk iCCP (colour profile) is broken or too long: it is left out."),
        (odd.wrong(b"tEXt", b"Comment\0text"), None),
    ],
)  # fmt: skip
def test_what_bears_on_colours_is_not_left_out_in_silence(broken: bytes, note: str | None) -> None:
    assert decode_picture(png(broken), MAX_PIXELS).notes == (() if note is None else (note,))


def test_what_bears_on_colours_or_on_which_side_is_up_is_kept() -> None:
    kept = [
        chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", bytes(range(32))), chunk(b"sRGB", b"\0"),
        chunk(b"cICP", bytes(4)), chunk(b"sBIT", b"\5\6\5"), chunk(b"iCCP", b"ICC\0\0" + zeros(1 << 21)),
        chunk(b"tRNS", bytes(6)), chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0"),
    ]  # fmt: skip
    data = png(*kept)
    assert mended(data) is data
    assert mended(png(*(one for kind in kept for one in (chunk(b"tEXt", b"a\0b"), kind)))) == data


def test_a_plain_file_is_not_copied() -> None:
    for data in (
        jpeg(),
        encoded(two_halves(), "PNG"),
        encoded(two_halves(), "WEBP"),
        encoded(two_halves(), "GIF")[:-1],
    ):
        assert mended(data) is data


def test_of_a_jpeg_the_profile_the_exif_and_how_colours_are_kept_remain() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(two_halves("CMYK"), "JPEG", icc_profile=b"profile" * 20_000, exif=exif, comment=b"a comment")
    assert mended(data) is data
    assert mended(data[:2] + jpegs.segment(0xE0, b"JFIF\0") + data[2:] + odd.FILM) == data
    before, after = (Image.open(io.BytesIO(one)) for one in (data, mended(data)))
    for name in ("icc_profile", "adobe", "adobe_transform", "exif"):
        assert after.info[name] == before.info[name]


@pytest.mark.parametrize("kind", ["tEXt", "zTXt"])
def test_exif_in_a_text_still_turns_a_png(kind: str) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    body = text if kind == "tEXt" else b"\0" + zlib.compress(text)
    assert decode_picture(png(chunk(kind.encode(), b"Raw profile type exif\0" + body)), MAX_PIXELS).size == (40, 60)


def test_no_text_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    def inflate(_packed: bytes) -> bytes:
        raise AssertionError("a text was inflated")

    monkeypatch.setattr(PngImagePlugin, "_safe_zlib_decompress", inflate)
    texts = [chunk(b"zTXt", b"Comment\0\0" + zeros(99)), chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(99))]
    assert decode_picture(png(*texts, after=b"".join(texts)), MAX_PIXELS).size == odd.SIZE


LARGE: dict[str, tuple[Callable[[], bytes], bool]] = {
    "scans behind a jpeg": (lambda: jpeg() + b"\xff\xda" * 25_000_000, True),
    "scans behind a jpeg without an end": (lambda: jpeg().removesuffix(EOI) + b"\xff\xda" * 25_000_000, False),
    "scans of a jpeg": (lambda: jpegs.empty_scans(16, 16, 3_000_000), False),
    "restarts in a jpeg": (lambda: jpeg()[:-2] + b"\xff\xd0" * 10_000_000 + EOI, True),
    "escaped bytes in a jpeg": (lambda: jpeg()[:-2] + b"\xff\0" * 25_000_000 + EOI, True),
    "fill bytes in a jpeg": (lambda: odd.with_segments(then=b"\xff" * 50_000_000), True),
    "segments of a jpeg": (lambda: odd.with_segments(jpegs.segment(0xE5, b"") * 500_000), False),
    "tables of a jpeg": (lambda: odd.with_segments(jpegs.segment(0xDD, b"\0\0") * 500_000), False),
    "zeros behind a jpeg without an end": (lambda: jpeg()[:-2] + bytes(50_000_000), True),
    "texts of a png": (lambda: png(chunk(b"tEXt", b"") * 900_000), True),
    "more texts of a png": (lambda: png(chunk(b"tEXt", b"") * 4_000_000), False),
    "compressed texts of a png": (lambda: png(chunk(b"zTXt", b"a\0\0" + zeros(1 << 24)) * 500), True),
    "profiles of a png": (lambda: png(chunk(b"iCCP", b"a\0\0" + zeros(1 << 22)) * 500), True),
    "profiles of a png, too long": (lambda: png(chunk(b"iCCP", b"a\0\0" + zeros(1 << 24)) * 500), True),
    "texts behind the pixels of a png": (lambda: png(after=chunk(b"tEXt", b"") * 900_000), True),
    "pixels of a png without an end": (lambda: png().partition(b"IDAT")[0][:-4] + chunk(b"IDAT", zeros(200_000_000))[:-9], True),
    "chunks of a webp": (lambda: odd.webp(b"what\0\0\0\0" * 6_000_000), False),
    "zeros behind a webp": (lambda: odd.webp() + bytes(50_000_000), True),
    "comments of a gif": (lambda: odd.gif(b"!\xfe\1a\0" * 2_000_000), True),
    "blanks before a jpeg": (lambda: b" " * 50_000_000 + jpeg(), False),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_of_little_content_takes_no_long_time(name: str) -> None:
    make, is_read = LARGE[name]
    data = make()
    started = time.thread_time()
    if is_read:
        decode_picture(data, MAX_PIXELS)
    else:
        with pytest.raises(PictureRefused):
            decode_picture(data, MAX_PIXELS)
    assert time.thread_time() - started < LARGE_SECONDS


def test_mending_ends_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.pictures.budget.SECONDS", 1e-9)
    for data in (odd.with_segments(jpegs.segment(0xE5, b"") * 9000), png(chunk(b"tEXt", b"") * 9000)):
        with pytest.raises(OverBudget):
            mend(data, Budget(1))


def test_the_decodings_of_a_jpeg_without_an_end_are_all_counted() -> None:
    data = jpegs.many_scans(4000, 2500, 30).removesuffix(EOI)
    assert decode_picture(data + EOI, MAX_PIXELS).size == (4000, 2500)
    with pytest.raises(PictureTooCostly, match=r"30 scans of 10\.0 megapixels"):
        decode_picture(data, MAX_PIXELS)
