"""A JPEG of a phone with more than 100 megapixels is decoded at half its size; places are those in the original."""

import base64

import pytest
from PIL import Image

from deployments.models.text.answers import TextLine
from deployments.pictures import decoding
from deployments.pictures.places import in_original
from testbed.pictures.images import encoded
from tests.unit.serving.api import client


def test_only_a_jpeg_beyond_the_limit_is_decoded_at_half_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (601, 401))
    for limit, kind, size in ((601 * 401, "JPEG", (601, 401)), (600 * 400, "JPEG", (301, 201)), (9, "PNG", (601, 401))):
        monkeypatch.setattr(decoding, "WHOLE_PIXELS", limit)
        decoded = decoding.decode_picture(encoded(picture, kind), 1_000_000)
        assert (decoded.size, decoded.image.size) == ((601, 401), size)


def test_a_phone_s_108_megapixels_take_the_memory_of_27() -> None:
    decoded = decoding.decode_picture(encoded(Image.new("RGB", (12_000, 9_000), (90, 120, 30)), "JPEG"), 150_000_000)
    assert (decoded.size, decoded.image.size) == ((12_000, 9_000), (6_000, 4_500))


async def test_faces_are_placed_in_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "WHOLE_PIXELS", 1000)
    data = base64.b64encode(encoded(Image.new("RGB", (600, 400)), "JPEG")).decode()
    async with client() as api:
        answer = await api.post("/v1/analyze", json={"image": {"data": data}, "run_quality": False})
    result = answer.json()["result"]
    assert (result["width_px"], result["height_px"], result["error"]) == (600, 400, None)
    assert result["emotion"]["faces"][0]["region"] == {"x": 2, "y": 4, "w": 60, "h": 80}


def test_lines_are_placed_in_the_original() -> None:
    line = TextLine("x", 0.9, ((1, 2), (3, 2), (3, 4.5), (1, 4.5)))
    assert in_original([line], 2) == [TextLine("x", 0.9, ((2, 4), (6, 4), (6, 9), (2, 9)))]
    assert in_original([line], 1) == [line]
    assert in_original("a caption", 2) == "a caption"
