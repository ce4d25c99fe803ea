"""Colours become those of sRGB: by embedded profiles, by the numbers of H.273 and by PNG's chunks."""

import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.catalogue.preparing import CatalogueInputs, prepare
from deployments.pictures import decoding
from deployments.pictures.colours import convert
from deployments.pictures.colours.profiles import SRGB, matrix_profile, profile
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted
from deployments.pictures.refusals import PictureBroken
from testbed.hostile.pngs import chunk
from testbed.paths import shared
from testbed.pictures.colours import (
    SPACES,
    encoded_light,
    grey_profile,
    hlg,
    old_srgb_profile,
    pq,
    press_profile,
    printed,
    renumbered,
    saved,
    smooth,
    srgb_light,
    srgb_profile,
    srgb_values,
    table,
    to_lab,
    with_chunks,
    with_tag,
)
from testbed.pictures.samples import bmp, png

MAX_PIXELS = 1_000_000
PICTURE = smooth()
PLAIN = Image.fromarray(PICTURE)
BROKEN = "The colour profile is ignored: it is broken."


def seen(data: bytes) -> np.ndarray[Any, np.dtype[np.int_]]:
    return np.asarray(decode_picture(data, MAX_PIXELS).image).astype(int)


def near(found: Any, expected: Any, most: float) -> None:
    error = float(np.abs(np.asarray(found, float) - expected).mean())
    assert error < most


@pytest.mark.parametrize("name", ["icc_p3", "icc_swap"])
def test_the_cases_are_shown_in_their_colours(name: str) -> None:
    data, reference = (shared(f"cases/images/{name}{end}").read_bytes() for end in (".jpg", ".ref.png"))
    expected = seen(reference)
    near(seen(data), expected, 2.5)
    near(seen(reference), np.asarray(Image.open(shared(f"cases/images/{name}.ref.png")).convert("RGB")), 0.01)
    small = decoding.decode(data, MAX_PIXELS, shortest_side=20)
    assert small.width < 240, "it is converted behind the reduced decode"
    near(np.asarray(small), np.asarray(Image.fromarray(expected.astype(np.uint8)).reduce(4)), 4)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
def test_profiles_are_followed_in_every_format(kind: str, space: str) -> None:
    expected = SPACES[space].in_srgb(PICTURE)
    found = decode_picture(saved(PLAIN, kind, icc_profile=SPACES[space].profile), MAX_PIXELS)
    near(np.asarray(found.image).astype(int), expected, 2.5 if kind in {"JPEG", "AVIF"} else 1)
    assert found.notes == ()
    assert np.abs(PICTURE - expected).mean() > 2, "there is something to convert"


def test_profiles_are_followed_where_pillow_does_not_look() -> None:
    space = SPACES["ProPhoto"]
    bgra = np.dstack([PICTURE[..., ::-1], np.full(PICTURE.shape[:2], 255, np.uint8)])
    near(seen(bmp(bgra, header=124, profile=space.profile)), space.in_srgb(PICTURE), 1)
    near(seen(bmp(bgra, header=124)), PICTURE, 0.01)
    plain = saved(PLAIN, "JPEG2000")
    place = plain.index(b"colr") - 4
    profiled = struct.pack(">I4sBBB", 15 + len(space.profile) - 4, b"colr", 2, 0, 0) + space.profile
    header = plain.index(b"jp2h") - 4
    size = int.from_bytes(plain[header : header + 4], "big") + len(profiled) - 15
    data = plain[:header] + struct.pack(">I", size) + plain[header + 4 : place] + profiled + plain[place + 15 :]
    near(seen(data), space.in_srgb(PICTURE), 1)


@pytest.mark.parametrize("mode", ["RGBA", "P", "RGB of 16 bits"])
def test_profiles_are_followed_in_every_mode_of_rgb(mode: str) -> None:
    space = SPACES["Adobe RGB"]
    if mode == "RGBA":
        picture = PLAIN.convert("RGBA")
        picture.paste((9, 9, 9, 0), (0, 0, 10, 10))
        found = seen(saved(picture, "PNG", icc_profile=space.profile))
        assert (found[:10, :10] == 255).all()
        near(found[10:, 10:], space.in_srgb(PICTURE)[10:, 10:], 1)
    elif mode == "P":
        picture = PLAIN.quantize(64)
        found = seen(saved(picture, "PNG", icc_profile=space.profile))
        near(found, space.in_srgb(np.asarray(picture.convert("RGB"))), 1)
    else:
        embedded = chunk(b"iCCP", b"a\0\0" + zlib.compress(space.profile))
        near(seen(with_chunks(png(PICTURE.astype(np.uint16) * 257, 16), embedded)), space.in_srgb(PICTURE), 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_profiles_are_followed(mode: str, kind: str) -> None:
    if (mode, kind) == ("LA", "JPEG"):
        mode = "L"
    grey = PLAIN.convert(mode)
    expected = 255 * srgb_values((np.asarray(PLAIN.convert("L")) / 255) ** 1.0)[..., np.newaxis]
    near(seen(saved(grey, kind, icc_profile=grey_profile(1.0))), expected, 1)
    near(seen(saved(grey, kind, icc_profile=grey_profile(2.2))), np.asarray(PLAIN.convert("L"))[..., np.newaxis], 2)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_those_of_the_press(kind: str) -> None:
    ink = np.dstack([PICTURE, PICTURE[..., 1] // 3])
    data = saved(Image.fromarray(ink, "CMYK"), kind, icc_profile=press_profile())
    expected = 255 * srgb_values(printed(ink / 255))
    near(seen(data), expected, 3)
    without = seen(saved(Image.fromarray(ink, "CMYK"), kind))
    assert np.abs(without - expected).mean() > 10
    assert decode_picture(data, MAX_PIXELS).notes == ()


def test_tables_of_rgb_and_lab_pictures() -> None:
    steps = np.stack(np.meshgrid(*[np.linspace(0, 1, 17)] * 3, indexing="ij"), axis=-1).reshape(1, -1, 3)
    tables = {b"A2B0": table(3, 17, to_lab(srgb_light(steps)[..., ::-1]))}
    data = saved(PLAIN, "PNG", icc_profile=profile(b"mntr", b"RGB ", tables, b"Lab "))
    near(seen(data), PICTURE[..., ::-1], 3)
    lab = to_lab(srgb_light(PICTURE / 255).reshape(1, -1, 3)).reshape(PICTURE.shape)
    near(seen(saved(Image.fromarray(lab, "LAB"), "TIFF", compression="raw")), PICTURE, 3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_profiles_of_srgb_cost_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "_transformed", None)
    for kind in ("PNG", "TIFF", "WEBP"):
        for known in (srgb_profile(), old_srgb_profile()):
            assert (seen(saved(PLAIN.convert(mode), kind, icc_profile=known)) == PICTURE).all()
    assert (seen(saved(PLAIN, "PNG")) == PICTURE).all()
    with pytest.raises(PictureBroken):
        decode_picture(saved(PLAIN, "PNG", icc_profile=SPACES["Display P3"].profile), MAX_PIXELS)


UNUSABLE = {
    "no profile at all": (PLAIN, b"nothing of the kind", "broken"),
    "cut off": (PLAIN, SPACES["Display P3"].profile[:200], "broken"),
    "too many tags": (PLAIN, SPACES["Display P3"].profile[:128] + b"\xff" * 400, "broken"),
    "for RGB, of a grey picture": (PLAIN.convert("L"), SPACES["Display P3"].profile, "it is for RGB"),
    "for grey, of RGB": (PLAIN, grey_profile(1.0), "it is for GRAY"),
    "for CMYK, of RGB": (PLAIN, press_profile(), "it is for CMYK"),
    "for RGB, of CMYK": (PLAIN.convert("CMYK"), SPACES["Display P3"].profile, "it is for RGB"),
    "a link between devices": (PLAIN, SPACES["Display P3"].profile.replace(b"mntr", b"link"), "no picture"),
    "too large": (PLAIN, SPACES["Display P3"].profile + bytes(4_100_000), "4 MB"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_profiles_that_cannot_be_followed_are_ignored_and_said(name: str) -> None:
    picture, unusable, why = UNUSABLE[name]
    kind = "TIFF" if picture.mode != "L" else "JPEG"
    found = decode_picture(saved(picture, kind, icc_profile=unusable), MAX_PIXELS)
    near(np.asarray(found.image).astype(int), np.asarray(picture.convert("RGB")).astype(int), 2)
    [note] = found.notes
    assert note.startswith("The colour profile is ignored: ")
    assert why in note


def test_a_profile_of_which_parts_are_missing_is_said() -> None:
    data = saved(PLAIN, "JPEG", icc_profile=SPACES["Display P3"].profile)
    broken = data.replace(b"ICC_PROFILE\0\x01\x01", b"ICC_PROFILE\0\x01\x02")
    assert decode_picture(broken, MAX_PIXELS).notes == (BROKEN,)


def test_the_catalogue_says_which_profile_was_ignored() -> None:
    wanted = CatalogueInputs({"Clip": Fitted(32)}, gps=False, max_pixels=MAX_PIXELS)
    assert prepare(saved(PLAIN, "JPEG", icc_profile=b"nothing"), wanted).exif == {"notes": [BROKEN]}
    followed = prepare(saved(PLAIN, "JPEG", icc_profile=SPACES["Display P3"].profile), wanted)
    assert followed.exif == {}
    near(followed.inputs["Clip"].astype(int).mean(), SPACES["Display P3"].in_srgb(PICTURE[:, 16:80]).mean(), 1)


def _gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


P3_POINTS = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB_POINTS = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
LINE = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, *[30000] * 6))
CHUNKS: dict[str, tuple[list[bytes], Any]] = {
    "gamma of sRGB": ([_gamma(0.45455)], PICTURE),
    "gamma and points of sRGB": ([_gamma(0.45455), SRGB_POINTS], PICTURE),
    "linear": ([_gamma(1.0)], SPACES["linear"].in_srgb(PICTURE)),
    "points of Display P3": ([P3_POINTS], SPACES["Display P3"].in_srgb(PICTURE)),
    "sRGB before gamma": ([_gamma(1.0), chunk(b"sRGB", b"\0")], PICTURE),
    "a gamma of zero": ([_gamma(0)], PICTURE),
    "points on a line": ([LINE], PICTURE),
    "code of Display P3": ([chunk(b"cICP", bytes([12, 13, 0, 1]))], SPACES["Display P3"].in_srgb(PICTURE)),
    "code of BT.2020": ([chunk(b"cICP", bytes([9, 1, 0, 1]))], SPACES["BT.2020"].in_srgb(PICTURE)),
    "linear code": ([chunk(b"cICP", bytes([1, 8, 0, 1]))], SPACES["linear"].in_srgb(PICTURE)),
    "code of sRGB before gamma": ([_gamma(1.0), chunk(b"cICP", bytes([1, 13, 0, 1]))], PICTURE),
    "an unknown code": ([chunk(b"cICP", bytes([2, 2, 0, 1]))], PICTURE),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_the_chunks_of_a_png_are_followed_as_browsers_do(name: str) -> None:
    chunks, expected = CHUNKS[name]
    near(seen(with_chunks(saved(PLAIN, "PNG"), *chunks)), expected, 0.01 if expected is PICTURE else 1)


def test_the_code_of_a_png_goes_before_its_profile() -> None:
    data = saved(PLAIN, "PNG", icc_profile=SPACES["swapped"].profile)
    near(seen(with_chunks(data, chunk(b"cICP", bytes([1, 13, 0, 1])))), PICTURE, 0.01)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_the_numbers_of_heic_and_avif_are_followed(kind: str) -> None:
    data = saved(PLAIN, kind)
    near(seen(renumbered(data, 1, 13)), PICTURE, 2.5)
    near(seen(renumbered(data, 12, 13)), SPACES["Display P3"].in_srgb(PICTURE), 2.5)
    near(seen(renumbered(data, 9, 1)), SPACES["BT.2020"].in_srgb(PICTURE), 3)


@pytest.mark.parametrize(("code", "transfer"), [(16, pq), (18, hlg)])
@pytest.mark.parametrize("kind", ["PNG", "HEIF", "AVIF"])
def test_high_dynamic_range_is_shown_with_the_white_of_sdr(kind: str, code: int, transfer: Any) -> None:
    colours = np.array([(255, 255, 255), (200, 40, 40), (40, 160, 70), (30, 60, 200), (128, 128, 128), (0, 0, 0)])
    light = np.repeat(np.repeat(srgb_light(colours / 255)[np.newaxis], 32, axis=0), 32, axis=1)
    picture = Image.fromarray(encoded_light(light, transfer))
    data = saved(picture, kind)
    coded = with_chunks(data, chunk(b"cICP", bytes([9, code, 0, 1]))) if kind == "PNG" else renumbered(data, 9, code)
    found = seen(coded)[16, 16::32]
    assert np.abs(found - colours).max() <= 12, found
    bright = Image.fromarray(encoded_light(light[:, :32] * 4, transfer))
    data = with_chunks(saved(bright, "PNG"), chunk(b"cICP", bytes([9, code, 0, 1])))
    assert (seen(data) == 255).all(), "what is brighter than white is white"


def test_alpha_of_high_dynamic_range_lies_on_white() -> None:
    data = saved(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
    assert (seen(with_chunks(data, chunk(b"cICP", bytes([9, 16, 0, 1])))) == 255).all()


def test_conversions_are_kept_and_their_number_is_bounded() -> None:
    kept = convert._Conversions()
    profiles = [matrix_profile(SRGB, (1 + number / 50,)) for number in range(40)]
    first = kept.of(profiles[0], "RGB")
    assert kept.of(bytes(bytearray(profiles[0])), "RGB") is first
    for one in profiles:
        kept.of(one, "RGB")
    assert len(kept._kept) == convert.KEPT
    assert kept.of(profiles[0], "RGB") is not first


def test_a_conversion_serves_several_threads_at_once() -> None:
    data = saved(Image.fromarray(smooth(700, 500)), "PNG", icc_profile=SPACES["Display P3"].profile)
    with ThreadPoolExecutor(8) as threads:
        pictures = list(threads.map(lambda _: decode_picture(data, MAX_PIXELS), range(32)))
    first = np.asarray(pictures[0].image)
    assert all((np.asarray(picture.image) == first).all() for picture in pictures)


def test_programs_in_a_profile_are_not_run() -> None:
    """A hundred thousand matrices for each of the points of a table: they would take minutes."""
    matrix = struct.pack(">4s4xHH12f", b"matf", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    count = 60_000
    head = struct.pack(">4s4xHHI", b"mpet", 3, 3, count)
    places = np.empty((count, 2), ">u4")
    places[:] = (len(head) + 8 * count, len(matrix))
    hostile = with_tag(SPACES["Display P3"].profile, b"D2B1", head + places.tobytes() + matrix)
    started = time.thread_time()
    near(seen(saved(PLAIN, "TIFF", icc_profile=hostile)), SPACES["Display P3"].in_srgb(PICTURE), 1)
    assert time.thread_time() - started < 2


def test_a_large_table_is_followed_within_the_budget() -> None:
    lab = np.random.default_rng(1).integers(0, 256, (100**3, 3), np.uint8)
    large = profile(b"mntr", b"RGB ", {b"A2B0": table(3, 100, lab)}, b"Lab ")
    assert len(large) < convert.MOST_PROFILE_BYTES
    started = time.thread_time()
    assert decode_picture(saved(PLAIN, "TIFF", icc_profile=large), MAX_PIXELS).notes == ()
    assert time.thread_time() - started < 2


def test_damaged_profiles_never_fail_a_picture() -> None:
    random = np.random.default_rng(1)
    for good in (SPACES["Display P3"].profile, press_profile()[:3000], srgb_profile(), grey_profile(2.2)):
        for _ in range(60):
            damaged = bytearray(good)
            for place in random.integers(0, len(good), 6):
                damaged[place] = random.integers(256)
            for picture in (PLAIN, PLAIN.convert("L"), PLAIN.convert("CMYK")):
                decode_picture(saved(picture, "TIFF", compression="raw", icc_profile=bytes(damaged)), MAX_PIXELS)
