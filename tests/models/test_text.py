"""Text recognition with PP-OCRv6: drawn pages in Dutch and English, turned and long pages, and pictures without text."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from configs.project import PROJECT
from configs.settings import settings_from
from deployments.models.text.model import TextModel
from deployments.models.text.spec import SPEC
from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelFailed
from testbed.paths import shared
from testbed.replicas import replica_class

DUTCH = [
    "Verkeersbesluit gemeente Utrecht",
    "Het college van burgemeester en wethouders besluit",
    "De maximumsnelheid wordt 30 km/u in de Oudegracht.",
]
ENGLISH = ["The quick brown fox jumps over the lazy dog.", "Parking is forbidden from 8:00 to 18:00"]
LEFT, TOP, STEP = 40, 40, 70


def page(lines: list[str], size: tuple[int, int] = (900, 420)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((LEFT, TOP + STEP * number), line, fill="black", font=ImageFont.load_default(28))
    return image


def pixels(image: Image.Image) -> Pixels:
    return np.asarray(image)


@pytest.fixture(scope="module")
def model() -> TextModel:
    settings = settings_from({"text_threads": 2})
    loaded = SPEC.load(settings, SPEC.weights(settings))
    assert isinstance(loaded, TextModel)
    return loaded


@pytest.mark.parametrize("lines", [DUTCH, ENGLISH], ids=["Dutch", "English"])
def test_a_drawn_page_is_read_in_order(model: TextModel, lines: list[str]) -> None:
    found = model.lines(pixels(page(lines)))
    assert [line.text for line in found] == lines
    assert all(line.confidence > 0.9 for line in found)


def test_corners_are_in_pixels_of_the_picture_however_large_it_is(model: TextModel) -> None:
    large = page(ENGLISH).resize((3600, 1680))
    [first, _] = model.lines(pixels(large))
    (left, top), (right, _), (_, bottom), _ = first.quadrilateral
    assert (left, top) == pytest.approx((4 * LEFT, 4 * (TOP + 5)), abs=40)
    assert right - left == pytest.approx(2300, rel=0.1)
    assert 80 < bottom - top < 200


def test_corners_stay_within_a_picture_that_is_extended_for_the_detector(model: TextModel) -> None:
    strip = Image.new("RGB", (2000, 20), "white")
    ImageDraw.Draw(strip).text((4, -1), ENGLISH[0], fill="black", font=ImageFont.load_default(18))
    found = model.lines(pixels(strip))
    assert found
    assert all(0 <= x <= 2000 and 0 <= y <= 20 for line in found for x, y in line.quadrilateral)


def test_turned_text_is_read(model: TextModel) -> None:
    turned = model.lines(pixels(page(ENGLISH).rotate(90, expand=True)))
    assert {line.text for line in turned} == set(ENGLISH)


def test_upside_down_lines_are_read(model: TextModel) -> None:
    assert set(ENGLISH) & {line.text for line in model.lines(pixels(page(ENGLISH).rotate(180)))}


def test_a_long_screenshot_is_read_to_its_end(model: TextModel) -> None:
    lines = [f"Line number {number} of a long page" for number in range(60)]
    found = model.lines(pixels(page(lines, (700, TOP + STEP * len(lines)))))
    assert [line.text for line in found] == lines


def test_a_street_map_has_street_names(model: TextModel) -> None:
    with Image.open(PROJECT / "examples" / "street_map.jpg") as image:
        found = model.lines(pixels(image.convert("RGB")))
    assert len(found) >= 3
    assert any("gracht" in line.text.lower() or "strasse" in line.text.lower() for line in found)


def test_a_real_map_has_its_names(model: TextModel) -> None:
    with Image.open(shared("images/osm_carto_preview.png")) as image:
        found = {line.text for line in model.lines(pixels(image.convert("RGB")))}
    assert {"Greektown", "Grant Park", "Van Buren", "Dan Ryan Expressway"} <= found


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (8, 8), (9, 3000), (3000, 9), (64, 64)])
def test_pictures_without_text_have_no_lines(model: TextModel, size: tuple[int, int]) -> None:
    assert model.lines(pixels(Image.new("RGB", size, "teal"))) == []


def test_a_network_that_fails_is_a_model_that_failed(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_image: Pixels) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "_read", broken)
    with pytest.raises(ModelFailed, match="out of memory"):
        model.lines(pixels(page(ENGLISH)))


async def test_the_replica_answers_and_tells_how_it_is() -> None:
    settings = settings_from({"text_threads": 2})
    from deployments.models.text.deployment import Text

    replica = replica_class(Text)(*SPEC.arguments(settings, SPEC.weights(settings), {}))
    assert [line.text for line in await replica.analyze(pixels(page(ENGLISH)))] == ENGLISH
    assert [status.name for status in await replica.status()] == ["text"]
    [weights] = await replica.weights()
    assert (weights.source, weights.licence) == ("packaged", "Apache-2.0")
