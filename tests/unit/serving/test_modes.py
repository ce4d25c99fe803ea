"""Every mode of PNG, GIF, BMP, WebP and JPEG 2000 is shown with the values that the file holds, on white."""

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures.decoding import decode_picture
from testbed.hostile.pngs import chunk
from testbed.paths import shared
from testbed.pictures.colours import saved
from testbed.pictures.samples import bmp, png

WHITE = (255, 255, 255)
Shown = NDArray[np.int_]


def shown(data: bytes) -> Shown:
    return np.asarray(decode_picture(data, 1_000_000).image).astype(int)


def trns(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


CASES: dict[str, list[tuple[int, int, int]]] = {
    "png_grey16_trns.png": [WHITE, (128, 128, 128)],
    "png_rgb16_trns.png": [WHITE, (128, 128, 128)],
    "bmp_alpha_all_zero.bmp": [(200, 50, 0)],
}


@pytest.mark.parametrize("name", CASES)
def test_the_cases_are_shown_as_they_are(name: str) -> None:
    data = shared(f"cases/images/{name}").read_bytes()
    assert [tuple(pixel) for pixel in shown(data).reshape(-1, 3)] == CASES[name]


def test_a_frame_that_is_smaller_than_its_canvas_lies_on_white() -> None:
    found = shown(shared("cases/images/gif_first_frame_partial.gif").read_bytes())
    inside = (found == (200, 50, 0)).all(axis=-1)
    assert found.shape == (40, 60, 3)
    assert 0 < inside.sum() < inside.size
    assert (found[~inside] == 255).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_greys_of_every_depth_lie_on_white(bits: int) -> None:
    most = (1 << bits) - 1
    values = np.array([[0, most], [most // 2, most]])
    for key in {0, most // 2, most}:
        found = shown(png(values, bits, chunks=trns(key)))[..., 0]
        expected = np.where(values == key, 255, values * 255 // most)
        assert np.abs(found - expected).max() <= 1


def test_only_the_very_grey_of_16_bits_is_transparent() -> None:
    values = np.array([[0x8000, 0x8001, 0x80FF, 0xC000]])
    assert shown(png(values, 16, chunks=trns(0x8001)))[0, :, 0].tolist() == [128, 255, 128, 192]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_lies_on_white(bits: int) -> None:
    unit = 1 if bits == 8 else 257
    values = np.array([[(10, 20, 30), (10, 20, 31), (200, 100, 50)]]) * unit
    found = shown(png(values, bits, chunks=trns(*values[0, 0].tolist())))
    assert found[0].tolist() == [[255, 255, 255], [10, 20, 31], [200, 100, 50]]


def test_only_the_very_colour_of_16_bits_is_transparent() -> None:
    values = np.array([[(0x1234, 0x5678, 0x9ABC), (0x1234, 0x5678, 0x9ABD), (0xFFFF, 0, 0)]])
    found = shown(png(values, 16, chunks=trns(0x1234, 0x5678, 0x9ABC)))
    assert found[0].tolist() == [[255, 255, 255], [0x12, 0x56, 0x9A], [255, 0, 0]]


def test_unused_bits_of_a_transparent_value_do_not_count() -> None:
    assert shown(png(np.array([[10, 20]]), 8, chunks=trns(0x010A)))[0, :, 0].tolist() == [255, 20]
    found = shown(png(np.array([[(1, 2, 3), (4, 5, 6)]]), 8, chunks=trns(0x0101, 0x0102, 0x0103)))
    assert found[0].tolist() == [[255, 255, 255], [4, 5, 6]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_every_depth_with_alpha_lie_on_white(bits: int) -> None:
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 0, 200])) + chunk(b"tRNS", bytes([128, 0]))
    data = bytearray(png(np.array([[0, 1]]), bits, chunks=palette))
    data[25] = 3
    data[29:33] = chunk(b"IHDR", bytes(data[16:29]))[-4:]
    assert np.abs(shown(bytes(data))[0] - [(255, 127, 127), (255, 255, 255)]).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_every_depth_lies_on_white(channels: int, bits: int) -> None:
    unit = 1 if bits == 8 else 257
    colours = np.array([[100, 100, 100], [200, 200, 200], [0, 0, 0]])[:, : channels - 1]
    values = np.concatenate([colours, [[0], [255], [128]]], axis=1)[np.newaxis] * unit
    assert np.abs(shown(png(values, bits))[0, :, 0] - [255, 200, 127]).max() <= 1


def test_12_bits_in_16_are_scaled_by_what_the_file_says_or_by_their_maximum() -> None:
    grey = np.array([[0, 1000, 2047, 3000]])
    assert np.abs(shown(png(grey, 16))[0, :, 0] - grey[0] * 255 / 3000).max() <= 1
    said = shown(png(grey, 16, chunks=chunk(b"sBIT", bytes([12]))))
    assert np.abs(said[0, :, 0] - grey[0] * 255 / 4095).max() <= 1
    colours = np.stack([grey, grey // 2, grey // 3], axis=-1)
    assert np.abs(shown(png(colours, 16)) - colours * 255 / 3000).max() <= 1
    with_alpha = np.concatenate([colours, np.full_like(grey, 65535)[..., np.newaxis]], axis=-1)
    assert np.abs(shown(png(with_alpha, 16)) - colours * 255 / 3000).max() <= 1


@pytest.mark.parametrize("brightest", [65535, 40_000, 20_000])
def test_ordinary_16_bits_keep_their_brightness(brightest: int) -> None:
    values = np.array([[0, brightest // 2, brightest]])
    assert shown(png(values, 16))[0, :, 0].tolist() == (values[0] >> 8).tolist()
    assert shown(png(np.stack([values] * 3, axis=-1), 16))[0, :, 1].tolist() == (values[0] >> 8).tolist()


@pytest.mark.parametrize("unit", [256, 257])
def test_a_dark_picture_of_8_bits_in_16_stays_dark(unit: int) -> None:
    values = np.array([[0, 5, 30]]) * unit
    assert shown(png(values, 16))[0, :, 0].tolist() == [0, 5, 30]
    assert shown(png(np.stack([values] * 3, axis=-1), 16))[0, :, 0].tolist() == [0, 5, 30]


def gif(frame: tuple[int, int, int, int], *, screen: tuple[int, int] = (6, 4), key: int | None = None) -> Any:
    """A GIF whose first frame, left, top, width and height, is red and green; green may be transparent."""
    left, top, width, height = frame
    whole = Image.new("P", (width, height), 1)
    whole.paste(2, (0, 0, width // 2, height))
    whole.putpalette([0, 0, 255, 255, 0, 0, 0, 255, 0])
    data = bytearray(saved(whole, "GIF", optimize=False, **({} if key is None else {"transparency": key})))
    place = data.index(b",")
    data[place + 1 : place + 5] = struct.pack("<HH", left, top)
    data[6:10] = struct.pack("<HH", *screen)
    return bytes(data)


@pytest.mark.parametrize("key", [None, 2])
@pytest.mark.parametrize("frame", [(0, 0, 6, 4), (1, 1, 4, 2), (2, 0, 4, 4)])
def test_gif_frames_lie_on_white_wherever_they_are(frame: tuple[int, int, int, int], key: int | None) -> None:
    left, top, width, height = frame
    expected = np.full((4, 6, 3), 255)
    expected[top : top + height, left : left + width // 2] = WHITE if key == 2 else (0, 255, 0)
    expected[top : top + height, left + width // 2 : left + width] = (255, 0, 0)
    assert (shown(gif(frame, key=key)) == expected).all()


@pytest.mark.parametrize("header", [56, 108, 124])
def test_alpha_of_a_bmp_counts_unless_it_is_zero_everywhere(header: int) -> None:
    pixels = np.array([[(10, 20, 200, 0), (10, 20, 200, 0)]], np.uint8)
    assert shown(bmp(pixels, header=header))[0].tolist() == [[200, 20, 10]] * 2
    pixels[0, 1, 3] = 255
    assert shown(bmp(pixels, header=header))[0].tolist() == [[255, 255, 255], [200, 20, 10]]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG2000", "AVIF", "HEIF", "JXL"])
def test_alpha_lies_on_white_in_every_format_that_has_it(kind: str) -> None:
    picture = Image.new("RGBA", (32, 32), (200, 40, 40, 255))
    picture.paste((0, 0, 200, 0), (0, 0, 16, 32))
    found = shown(saved(picture, kind))
    assert np.abs(found[8, [4, 27]] - [(255, 255, 255), (200, 40, 40)]).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG2000", "JXL", "HEIF", "AVIF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_format_gives_the_pixels_of_its_picture(mode: str, kind: str) -> None:
    ramp = np.add.outer(np.arange(32) * 3, np.arange(48) * 3).astype(np.uint8)
    picture = Image.fromarray(np.dstack([ramp, ramp[::-1], 255 - ramp])).convert(mode)
    expected = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(shown(saved(picture, kind)) - expected).mean() <= (1.5 if kind in {"AVIF", "HEIF"} else 0.01)


@pytest.mark.parametrize("kind", ["JPEG2000", "TIFF", "PNG"])
def test_grey_of_16_bits_is_the_same_in_every_format(kind: str) -> None:
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    assert np.abs(shown(saved(Image.fromarray(ramp), kind))[..., 0] - (ramp >> 8)).max() <= 1
