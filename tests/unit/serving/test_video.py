"""/video with doubles: which frame is chosen, the two forms of the answer, and what is refused."""

import base64
import json

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.pictures.pixels import Pixels
from serve_app.clients.models import Models
from serve_app.http.errors import InvalidVideo, PanoptesError, VideoTooLarge
from tests.unit.serving.api import ClipDouble, Doubles, client

CATEGORIES = ("categories", ("c.json", b'["dark", "bright"]'))
VIDEO = ("video", ("a.MP4", b"FLV" + bytes([100, 7, 250, 90])))  # of grey frames, a byte each


class Brightness(ClipDouble):
    """Scores dark frames higher for the first category and bright frames higher for the second."""

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> NDArray[np.float32]:
        means = pixels.reshape(len(pixels), -1).mean(axis=1)
        return np.asarray(np.stack([-means, means], axis=1) / 100, np.float32)


def dark_and_bright() -> Doubles:
    models = Doubles()
    models.replace(Brightness())
    return models


async def test_each_category_gets_its_best_frame() -> None:
    models = dark_and_bright()
    async with client(models=models) as api:
        answer = await api.post("/video", files=[VIDEO, CATEGORIES])
    assert answer.status_code == 201
    assert answer.json() == {
        "dark": ["frame_000004.000s.jpg", base64.b64encode(b"jpeg of 7").decode()],
        "bright": ["frame_000005.000s.jpg", base64.b64encode(b"jpeg of 250").decode()],
    }
    assert models.video.asked == [4.0, 5.0]


async def test_details_give_the_second_and_the_probability() -> None:
    async with client(models=dark_and_bright()) as api:
        dark = (await api.post("/video?details=true", files=[VIDEO, CATEGORIES])).json()["dark"]
    assert (dark["filename"], dark["timestamp_s"]) == ("frame_000004.000s.jpg", 4.0)
    assert base64.b64decode(dark["image"]) == b"jpeg of 7"
    assert dark["score"] == pytest.approx(1 / (1 + np.exp(0.14)))


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([CATEGORIES], "No file selected, please select a video file"),
        ([("video", ("a.avi", b"x")), CATEGORIES], "Invalid extension, allowed extensions are: {'mp4'}"),
        ([VIDEO], "No file selected, please select a categories file"),
    ],
)
async def test_missing_form_fields_are_refused(files: list[tuple[str, tuple[str, bytes]]], text: str) -> None:
    async with client() as api:
        answer = await api.post("/video", files=files)
    assert (answer.status_code, answer.json()) == (400, {"error": text})


BROKEN = "Invalid video, the file a.MP4 seems to be broken"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InvalidVideo("None of its frames can be decoded."), 400, BROKEN),
        (VideoTooLarge("The video lasts 700 s."), 413, "The video lasts 700 s."),
        (PanoptesError("Something broke here."), 500, "Something broke here."),
    ],
)
async def test_a_broken_video_is_named_and_other_errors_give_their_reason(
    error: PanoptesError, status: int, text: str
) -> None:
    models = Doubles()
    models.video.fails = error
    async with client(models=models) as api:
        answer = await api.post("/video", files=[VIDEO, CATEGORIES])
    assert (answer.status_code, answer.json()) == (status, {"error": text})


async def test_a_video_has_a_limit_and_can_be_switched_off() -> None:
    async with client(max_video_mb=0.000001) as api:
        assert (await api.post("/video", files=[VIDEO, CATEGORIES])).status_code == 413
    models = Doubles()
    models.replace(Models({}).video)
    async with client(models=models) as api:
        answer = await api.post("/video", files=[VIDEO, CATEGORIES])
    assert answer.status_code == 503
    assert "VIDEO_ENABLED" in json.dumps(answer.json())


async def test_a_video_has_a_deadline_of_its_own() -> None:
    async with client(models=dark_and_bright(), request_timeout_s=0.000001, video_timeout_s=30) as api:
        assert (await api.post("/video", files=[VIDEO, CATEGORIES])).status_code == 201
