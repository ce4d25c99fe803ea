"""TIFF: samples of every type, depth and arrangement, and the picture that the file is about."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures import samples as brought
from deployments.pictures.decoding import decode_picture
from deployments.pictures.refusals import PictureBroken, PictureTooLarge
from deployments.pictures.tiff import reader
from testbed.paths import shared
from testbed.pictures.colours import SPACES, saved, smooth
from testbed.pictures.samples import (
    ASCII,
    BYTE,
    CHILDREN,
    DEFLATE,
    DOUBLE,
    EXTRA,
    HIGHEST,
    LONG,
    LOWEST,
    MAXIMUM,
    NO_DATA,
    OLD_SUBFILE,
    ORIENTATION,
    PAGE,
    PROFILE,
    RAW,
    SHORT,
    SUBFILE,
    Order,
    Page,
    tiff,
)

ORDERS = [("<", False), (">", False), ("<", True)]  # and whether it is a BigTIFF
Shown = NDArray[np.int_]
RAMP = np.linspace(0, 1, 35).reshape(5, 7)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1] / 2], axis=-1)


def shown(data: bytes) -> Shown:
    return np.asarray(decode_picture(data, 1_000_000).image).astype(int)


def grey(*pages: Page, **options: Any) -> Shown:
    return shown(tiff(*pages, **options))[..., 0]


def near(found: Any, expected: Any, most: float = 1) -> None:
    assert np.abs(found - expected).max() <= most


def page(values: Any, **options: Any) -> Page:
    return Page(np.asarray(values), **options)


CASES = {
    "tiff_grey16_white_is_zero.tif": [255, 0],
    "tiff_float_nodata.tif": [255, 0, 36, 73, 109, 146, 182, 219, 255],
    "tiff_thumbnail_first.tif": [99] * 64,
}


@pytest.mark.parametrize("name", CASES)
def test_the_cases_are_shown_as_they_are(name: str) -> None:
    near(shown(shared(f"cases/images/{name}").read_bytes())[..., 0].ravel(), CASES[name])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
def test_unsigned_greys_of_every_depth(bits: int, photometric: int, order: Order) -> None:
    most = (1 << bits) - 1
    values = np.round(RAMP * most).astype(np.uint16)
    expected = values * (255 / most)
    stored = page(values, bits=bits if bits != 16 else None, photometric=photometric)
    near(grey(stored, order=order), expected if photometric else 255 - expected)


TYPES = ["i1", "i2", "i4", "i8", "u4", "u8", "f2", "f4", "f8"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("number", TYPES)
def test_numbers_without_a_fixed_range_are_scaled_by_their_own(number: str, photometric: int, order: Order) -> None:
    kind = np.dtype(number)
    low, high = (-3.5, 9.0) if kind.kind == "f" else (np.iinfo(kind).min / 2 + 1, np.iinfo(kind).max / 2)
    values = (low + RAMP * (high - low)).astype(kind)
    expected = (values - float(values.min())) / (float(values.max()) - float(values.min()))
    near(grey(page(values, photometric=photometric), order=order), 255 * (expected if photometric else 1 - expected), 2)


@pytest.mark.parametrize("number", ["u2", "i2", "u4", "f4", "f8"])
@pytest.mark.parametrize(
    "arrangement",
    [
        {"compression": DEFLATE},
        {"compression": DEFLATE, "predictor": 2},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": DEFLATE, "predictor": 2},
        {"planes": True},
        {"planes": True, "compression": DEFLATE, "predictor": 2},
        {"planes": True, "tile": (16, 16)},
        {"rows": 100},
    ],
    ids=str,
)
@pytest.mark.parametrize(("order", "big"), ORDERS)
def test_colours_in_every_arrangement(arrangement: dict[str, Any], number: str, order: Order, *, big: bool) -> None:
    picture = smooth(37, 29)
    if number == "u2":
        values: Any = picture.astype("u2") * 257
    elif number.startswith("f"):
        values = (picture / 255).astype(number)
    else:
        picture = picture.copy()
        picture[0, :2] = [[0, 0, 0], [255, 255, 255]]
        values = (picture * np.dtype(number).type(100)).astype(number)
    near(shown(tiff(page(values, photometric=2, **arrangement), order=order, big=big)), picture)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("number", ["f2", "f4", "f8"])
def test_the_predictor_of_floats(number: str, tile: tuple[int, int] | None, order: Order) -> None:
    picture = smooth(37, 29)
    values = (picture / 255).astype(number)
    for stored, expected in ((values, picture), (values[..., 0], None)):
        data = tiff(page(stored, photometric=2 if stored.ndim == 3 else 1, tile=tile, predictor=3, compression=DEFLATE))
        plain = tiff(page(stored, photometric=2 if stored.ndim == 3 else 1), order=order)
        near(shown(data), shown(plain), 0)
        if expected is not None:
            near(shown(data), expected)


def test_lzw_with_differences_is_read_as_other_programs_write_it() -> None:
    values = (smooth(64, 48)[..., 0].astype(np.uint16)) * 257
    data = saved(Image.fromarray(values), "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    near(shown(data)[..., 0], values >> 8)


@pytest.mark.parametrize("bits", [12, 16])
def test_what_the_file_says_is_white_comes_before_the_maximum(bits: int) -> None:
    values = (RAMP * 3000).astype(np.uint16)
    size = None if bits == 16 else bits
    own = 3000 if bits == 16 else 4095
    near(grey(page(values, bits=size)), values * (255 / own))
    near(grey(page(values, bits=size, tags={MAXIMUM: (SHORT, 4000)})), values * (255 / 4000))
    near(grey(page(values, bits=size, tags={MAXIMUM: (SHORT, 5)})), values * (255 / own))
    bright = (RAMP * 60_000).astype(np.uint16)
    near(grey(page(bright)), bright >> 8)


def test_a_range_that_the_file_names_is_kept() -> None:
    values = (RAMP * 4 + 1).astype(np.float32)
    tags = {LOWEST: (DOUBLE, 0.0), HIGHEST: (DOUBLE, 10.0)}
    near(grey(page(values, tags=tags)), values * 25.5)
    near(grey(page(values, tags={LOWEST: (DOUBLE, 2.0), HIGHEST: (DOUBLE, 3.0)})), RAMP * 255)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("f4", b"-9999"),
        ("f4", b"nan"),
        ("f4", b"-3.40282346638529e+38"),
        ("f8", b"-1.7976931348623157e+308"),
        ("f4", b"0"),
        ("i2", b"-32768"),
        ("u2", b"65535"),
        ("u1", b"255"),
        ("i4", b"-2147483648"),
    ],
)
def test_missing_samples_do_not_set_the_scale_and_are_white(number: str, text: bytes) -> None:
    kind = np.dtype(number)
    values = (10 + RAMP * 90).astype(kind)
    values[2, 3] = float(text)
    found = grey(page(values, tags={NO_DATA: (ASCII, [text + b"\0"])}))
    there = np.ones(values.shape, bool)
    there[2, 3] = False
    assert found[2, 3] == 255
    known = values[there].astype(float)
    near(found[there], {"u1": known, "u2": known * 255 / 100}.get(number, (known - 10) * 255 / 90), 3)


def test_what_is_no_number_is_missing_and_what_is_infinite_is_not() -> None:
    values = np.array([[np.nan, -np.inf, 1, 2, 3, np.inf]], np.float32)
    near(grey(page(values)), [[255, 0, 0, 127, 255, 255]])
    assert (grey(page(np.full((2, 2), np.nan, np.float32))) == 255).all()
    near(grey(page(np.array([[-1.7e308, 0, 1.7e308]]))), [[0, 127, 255]])
    assert (grey(page(np.full((2, 2), 7, np.float32))) == 0).all()


def test_missing_pixels_of_an_aerial_photo_are_white() -> None:
    values = np.array([[(0, 0, 0), (0, 9, 0), (80, 90, 100)]], np.uint8)
    found = shown(tiff(page(values, photometric=2, tags={NO_DATA: (ASCII, [b"0\0"])})))
    assert found[0].tolist() == [[255, 255, 255], [0, 9, 0], [80, 90, 100]]


def test_values_that_are_unusual_count_where_the_file_does_not_call_them_missing() -> None:
    near(grey(page(np.array([[-9999, 0, 1]], np.float32))), [[0, 254, 255]])


@pytest.mark.parametrize("number", ["u1", "u2", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", "<>")
def test_a_further_channel_is_alpha_only_where_the_file_says_so(channels: int, number: str, order: Order) -> None:
    most = {"u1": 255, "u2": 65535, "f4": 1}[number]
    fractions = np.array(
        [[[0.8] * channels + [1.0], [0.2] * channels + [0.0], [0.2] * channels + [0.5], [0] * (channels + 1)]]
    )
    photometric = 1 if channels == 1 else 2
    straight, multiplied, nothing = (
        shown(tiff(page(stored, photometric=photometric, tags={EXTRA: (SHORT, extra)}), order=order))[0, :, 0]
        for extra, stored in (
            (2, (fractions * most).astype(number)),
            (1, (np.dstack([fractions[..., :-1] * fractions[..., -1:], fractions[..., -1:]]) * most).astype(number)),
            (0, (fractions * most).astype(number)),
        )
    )
    if channels == 1 and number == "f4":
        near(multiplied[[1, 3]], [255, 255])  # a grey scale of floats has no range of its own
    else:
        near(straight, [204, 255, 153, 255], 2)
        near(multiplied, [204, 255, 153, 255], 2)
        near(nothing, [204, 51, 51, 0], 2)


@pytest.mark.parametrize("number", ["u1", "u2"])
@pytest.mark.parametrize("photometric", [1, 2])
@pytest.mark.parametrize("planes", [False, True])
def test_further_bands_are_left_out(photometric: int, number: str, *, planes: bool) -> None:
    bands, colours = np.dstack([smooth(37, 29), smooth(29, 37).transpose(1, 0, 2)]), 3 if photometric == 2 else 1
    values = (bands.astype(int) * (1 if number == "u1" else 257)).astype(number)
    extra = {EXTRA: (SHORT, [0] * (6 - colours))}
    near(shown(tiff(page(values, photometric=photometric, planes=planes, tags=extra))), bands[..., :colours])


def test_inks_of_16_bits() -> None:
    inks = np.dstack([smooth(), smooth()[..., 0] // 3])
    data = tiff(page(inks.astype(np.uint16) * 257, photometric=5), order=">")
    near(shown(data), np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")), 1)


def test_profiles_of_pictures_of_16_bits_are_followed() -> None:
    space = SPACES["ProPhoto"]
    values = smooth().astype(np.uint16) * 257
    data = tiff(page(values, photometric=2, tags={PROFILE: (BYTE, list(space.profile))}))
    assert np.abs(shown(data) - space.in_srgb(smooth())).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("number", ["u1", "u2", "f4"])
def test_turned_samples_of_every_type(number: str, orientation: int) -> None:
    values = np.arange(6).reshape(2, 3)
    unit = {"u1": 51, "u2": 51 * 257, "f4": 51}[number]
    turned = {
        1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1],
        5: values.T, 6: np.rot90(values, -1), 7: values[::-1, ::-1].T, 8: np.rot90(values),
    }[orientation]  # fmt: skip
    data = tiff(page((values * unit).astype(number), tags={ORIENTATION: (SHORT, orientation)}))
    near(shown(data)[..., 0], turned * 51)
    assert decode_picture(data, 1000).size == turned.shape[::-1]


SMALL, LARGE, LARGER = (np.full((side, side), side, np.uint8) for side in (4, 32, 64))
REDUCED = {SUBFILE: (LONG, 1)}
PAGES: dict[str, tuple[list[Page], int]] = {
    "a thumbnail, and the picture inside it": ([page(SMALL, tags=REDUCED, children=(page(LARGE),))], 32),
    "a thumbnail, and the picture behind it": ([page(SMALL, tags=REDUCED), page(LARGE)], 32),
    "by the older tag": ([page(SMALL, tags={OLD_SUBFILE: (SHORT, 2)}), page(LARGE)], 32),
    "a thumbnail that does not say so": ([page(SMALL), page(LARGE)], 32),
    "several inside": ([page(SMALL, tags=REDUCED, children=(page(LARGE), page(LARGER), page(SMALL)))], 64),
    "the reduced one is no more than that": ([page(LARGE), page(LARGER, tags=REDUCED)], 32),
    "a mask is no picture": ([page(LARGE), page(LARGER, tags={SUBFILE: (LONG, 4)})], 32),
    "a pyramid": ([page(LARGER), page(LARGE, tags=REDUCED), page(SMALL, tags=REDUCED)], 64),
    "reduced pictures alone": ([page(SMALL, tags=REDUCED), page(LARGE, tags=REDUCED)], 32),
    "the first page of a document": ([page(LARGE, tags={SUBFILE: (LONG, 2)}), page(LARGER)], 32),
    "pages that are numbered": ([page(LARGE, tags={PAGE: (SHORT, [0, 2])}), page(LARGER)], 32),
    "the first of several that are as large": ([page(LARGE), page(LARGE + 9)], 32),
    "a preview of raw data": (
        [page(SMALL, tags=REDUCED, children=(page(LARGER, photometric=32803), page(LARGE, tags=REDUCED)))],
        32,
    ),
}


@pytest.mark.parametrize(("order", "big"), ORDERS)
@pytest.mark.parametrize("name", PAGES)
def test_the_largest_picture_is_the_one(name: str, order: Order, *, big: bool) -> None:
    pages, side = PAGES[name]
    found = grey(*pages, order=order, big=big)
    assert found.shape == (side, side)
    assert (found == side).all()


def test_the_orientation_of_the_first_directory_holds_for_the_picture_inside() -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for inside in (page(values), page(values.astype(np.uint16) * 5000)):
        outside = page(SMALL[:2, :2], tags=REDUCED | {ORIENTATION: (SHORT, 6)}, children=(inside,))
        found = decode_picture(tiff(outside), 1000)
        assert found.size == (2, 3)
        assert np.argmax(np.asarray(found.image)[..., 0]) == 4


def test_raw_data_alone_is_refused_by_its_name() -> None:
    thumbnail = page(SMALL, tags=REDUCED, children=(page(LARGER, photometric=32803),))
    for pages in ([thumbnail], [page(LARGER, photometric=34892)]):
        with pytest.raises(PictureBroken, match=r"A camera's raw file .* cannot be read: send the camera's JPEG"):
            grey(*pages)


def test_a_bigtiff_that_pillow_cannot_open_is_refused_by_its_name() -> None:
    with pytest.raises(PictureBroken, match="big-endian BigTIFF cannot be read: save it as a TIFF"):
        grey(page(SMALL), order=">", big=True)


def test_directories_that_lead_in_circles_end() -> None:
    data = bytearray(tiff(page(LARGE)))
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    data[start + 2 + 12 * count : start + 6 + 12 * count] = data[4:8]
    assert shown(bytes(data)).shape == (32, 32, 3)
    inside = tiff(page(SMALL, tags={CHILDREN: (LONG, 8)}))
    assert shown(inside).shape == (4, 4, 3)


def test_a_narrow_picture_in_wide_tiles_is_refused() -> None:
    with pytest.raises(PictureTooLarge):
        decode_picture(tiff(page(np.zeros((1, 1), np.float32), tile=(1 << 12, 1 << 12))), 1_000_000)
    few = page(np.zeros((1, 1), np.float32), tile=(16, 16), tags={257: (LONG, 1_000_000), 322: (LONG, 60_000)})
    with pytest.raises(PictureTooLarge, match="samples of this TIFF"):
        decode_picture(tiff(few), 1_000_000)


def test_more_samples_than_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_BYTES", 100)
    with pytest.raises(PictureTooLarge, match="save it with 8 bits"):
        grey(page(COLOURS, photometric=2))


@pytest.mark.parametrize("compression", [RAW, DEFLATE])
def test_samples_that_are_cut_off_are_refused(compression: int) -> None:
    noise = np.random.default_rng(1).random((64, 64)).astype(np.float32)
    data = tiff(page(noise, compression=compression))
    cut = data[:4000] + b"\0" * 2000 + data[6000:] if compression == DEFLATE else data
    if compression == RAW:
        start = int.from_bytes(data[4:8], "little")
        place = data.index(b"\x11\x01", start)  # where the strips are
        offsets = int.from_bytes(data[place + 8 : place + 12], "little")
        cut = data[: offsets + 4] + b"\xff\xff\xff\x0f" + data[offsets + 8 :]
    with pytest.raises(PictureBroken):
        shown(cut)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random((31, 17, 3)).astype(np.float32)
    data = tiff(page(values, photometric=2, predictor=2, compression=DEFLATE))
    whole = shown(data)
    monkeypatch.setattr(brought, "BLOCK", 40)
    monkeypatch.setattr(reader, "BLOCK", 40)
    assert (shown(data) == whole).all()
