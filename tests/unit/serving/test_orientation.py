"""EXIF alone decides how a picture is turned; in HEIC, AVIF and JPEG XL their own orientation does, and only once."""

import base64
import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.pictures.decoding import decode_picture
from deployments.pictures.jxl_header import JxlHeader, jxl_header
from testbed.hostile.pngs import chunk
from testbed.paths import shared
from testbed.pictures.colours import saved, with_chunks

ORIENTATIONS = range(1, 9)
# 48 × 32: white, but for a red corner and a blue edge: no turn leaves it as it is.
UPRIGHT = Image.new("RGB", (48, 32), "white")
UPRIGHT.paste((220, 20, 20), (0, 0, 16, 16))
UPRIGHT.paste((20, 20, 220), (32, 0, 48, 32))
# How the camera held it, so that the orientation makes it upright.
HELD = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def held(orientation: int) -> Image.Image:
    return UPRIGHT.transpose(HELD[orientation]) if orientation in HELD else UPRIGHT


def exif(orientation: int) -> bytes:
    entries = Image.Exif()
    entries[0x0112] = orientation
    return entries.tobytes()


def is_upright(data: bytes) -> bool:
    found = decode_picture(data, 10_000)
    if found.size != found.image.size or found.size != UPRIGHT.size:
        return False
    return bool(np.abs(np.asarray(found.image).astype(int) - np.asarray(UPRIGHT)).mean() < 6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_orientation_of_every_format(kind: str, orientation: int) -> None:
    options: dict[str, Any] = {"exif": exif(orientation)} if kind != "TIFF" else {"tiffinfo": {0x0112: orientation}}
    assert is_upright(saved(held(orientation), kind, **options))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_every_compression_of_tiff_is_turned_once(compression: str, orientation: int) -> None:
    data = saved(held(orientation), "TIFF", compression=compression, tiffinfo={0x0112: orientation})
    assert is_upright(data)


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientations_that_do_not_exist_are_ignored(kind: str, orientation: int) -> None:
    assert is_upright(saved(UPRIGHT, kind, exif=exif(orientation)))


@pytest.mark.parametrize("orientation", [b"6", b"\0\0\0\0"])
def test_an_orientation_that_is_no_number_is_ignored(orientation: bytes) -> None:
    entry = struct.pack("<HHI4s", 0x0112, 2, 4, orientation.ljust(4, b"\0"))
    data = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    assert is_upright(saved(UPRIGHT, "JPEG", exif=data))


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG", "TIFF", "AVIF"])
def test_xmp_turns_nothing(kind: str) -> None:
    if kind == "PNG":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        assert is_upright(with_chunks(saved(UPRIGHT, "PNG"), text))
        return
    options: dict[str, Any] = {"tiffinfo": {700: XMP}} if kind == "TIFF" else {"xmp": XMP}
    assert is_upright(saved(UPRIGHT, kind, **options))
    if kind == "JPEG":
        assert is_upright(saved(held(8), "JPEG", exif=exif(8), xmp=XMP))


def test_the_case_is_not_turned() -> None:
    found = decode_picture(shared("cases/images/xmp_orientation_only.jpg").read_bytes(), 10_000)
    assert found.size == found.image.size == (16, 8)


@pytest.mark.parametrize("place", [33, None])
def test_exif_of_a_png_counts_before_and_behind_its_pixels(place: int | None) -> None:
    data = saved(held(6), "PNG")
    place = data.index(b"IEND") - 4 if place is None else place
    assert is_upright(data[:place] + chunk(b"eXIf", exif(6)[6:]) + data[place:])


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_exif_turns_no_heic_that_turns_itself(kind: str) -> None:
    """The readers make of irot and imir what EXIF says, whatever it said before."""
    data = saved(held(6), kind, exif=exif(6))
    assert b"irot" in data
    assert is_upright(data)
    with_both = data.replace(b"\x12\x01\x03\0\x01\0\0\0\x01", b"\x12\x01\x03\0\x01\0\0\0\x06")
    assert is_upright(with_both)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_of_a_jpeg_xl_counts_where_its_own_orientation_says_nothing(orientation: int) -> None:
    assert is_upright(saved(held(orientation), "JXL", exif=exif(orientation)))


# Made by cjxl 0.7 of a PNG with EXIF.
TURNED_JXL = {
    6: (
        "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ0000*YItm8{|XC+1p<mo0tf;D0Js24IB1x{gZC8_1VDZNALD<#3&a2bFe(7h"
        "NP+<8AdNx7N612I$VW_5B>HG%0R"
    ),
    7: (
        "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ0000(YItm8{|XC+1_Fvp0tf;D0I&c{IB1x{gZC8_1VDWsKgR!f7l;8MVA2Et"
        "kPtyKuNaSnkC1_+kdKZKV8j9"
    ),
}


@pytest.mark.parametrize("orientation", TURNED_JXL)
def test_a_jpeg_xl_that_turns_itself_is_turned_once(orientation: int) -> None:
    data = base64.b85decode(TURNED_JXL[orientation])
    assert jxl_header(data) == JxlHeader(held(orientation).size, orientation)
    assert is_upright(data)
    told = bytes(4) + exif(orientation)[6:]
    assert is_upright(data + struct.pack(">I4s", 8 + len(told), b"Exif") + told)


def test_a_house_by_a_phone_stands() -> None:
    data = shared("cases/images/house.heic").read_bytes()
    found = decode_picture(data, 1_000_000)
    assert found.size == found.image.size == (275, 232)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.abs(np.asarray(opened.convert("RGB")).astype(int) - np.asarray(found.image)).mean() < 1
