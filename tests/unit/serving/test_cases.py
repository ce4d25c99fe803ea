"""Files that people really have (`../shared/cases`): their right pixels, and an answer on every route."""

import numpy as np
import pytest
from PIL import Image

from deployments.pictures.decoding import decode_picture
from deployments.pictures.pixels import Pixels
from testbed.paths import SHARED
from tests.unit.serving.api import client
from tests.unit.serving.sending import ROUTES, problem

MAX_PIXELS = 150_000_000
IMAGES = SHARED / "cases" / "images"
REFUSED = "png_90000000x1.png"
NAMES = sorted(path.name for path in IMAGES.iterdir() if ".ref." not in path.name) if IMAGES.is_dir() else []

pytestmark = pytest.mark.skipif(not NAMES, reason="The cases of ../shared are NOT tested: there are none.")


def pixels(name: str) -> Pixels:
    return np.asarray(decode_picture((IMAGES / name).read_bytes(), MAX_PIXELS).image)


def row(*values: int) -> list[list[int]]:
    """A row of grey pixels."""
    return [[value] * 3 for value in values]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("png_grey16_trns.png", row(255, 128)),
        ("tiff_grey16_white_is_zero.tif", row(255, 0)),
        ("bmp_alpha_all_zero.bmp", [[200, 50, 0]]),
    ],
)
def test_the_first_row_is_exact(name: str, expected: list[list[int]]) -> None:
    assert pixels(name)[0].tolist() == expected


def test_a_transparent_colour_of_16_bits_lies_on_white() -> None:
    assert pixels("png_rgb16_trns.png")[0][0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["icc_swap", "icc_p3"])
def test_a_profile_is_converted(name: str) -> None:
    expected = np.asarray(Image.open(IMAGES / f"{name}.ref.png").convert("RGB"), int)
    assert np.abs(pixels(f"{name}.jpg") - expected).mean() < 2.1  # LittleCMS gives 2.003 with any of its settings


def test_pixels_without_data_do_not_set_the_scale() -> None:
    found = pixels("tiff_float_nodata.tif")[0, :, 0]
    assert found.max() - found.min() > 200
    assert np.sort(found)[1] < 60, "the values next to the lowest are dark as well"


def test_the_largest_picture_of_a_file_is_taken() -> None:
    assert pixels("tiff_thumbnail_first.tif").shape == (8, 8, 3)


def test_around_a_small_frame_is_white() -> None:
    found = pixels("gif_first_frame_partial.gif")
    assert found[0, 0].tolist() == [255, 255, 255]
    assert {tuple(pixel) for pixel in found.reshape(-1, 3)} > {(255, 255, 255)}


def test_only_exif_turns_a_picture() -> None:
    assert pixels("xmp_orientation_only.jpg").shape == (8, 16, 3)


@pytest.mark.parametrize("name", NAMES)
async def test_every_route_answers_about_it(name: str) -> None:
    data = (IMAGES / name).read_bytes()
    async with client() as api:
        said = {route: problem(await send(api, data)) for route, send in ROUTES.items()}
    if name != REFUSED:
        assert {route: text for route, text in said.items() if text} == {}
        return
    for route, text in said.items():
        assert text, f"{route} accepts at most a million pixels on a side"
        assert "cut it" in text or "seems to be broken" in text or "tagging" in text
