"""/video over HTTP: the right second for each category, and the errors for files that are not videos."""

import base64
import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image

from testbed.doubles.videos import COLOURS, audio_only, coloured, slideshow
from training.clip.evaluation import labelled_scenes

SCENES = {scene.label: scene.image for scene in labelled_scenes(12, 5) if scene.label}
SHOWN = ["a street map", "a page of text", "a traffic sign"]


def ask(api: httpx.Client, video: bytes, categories: list[str], query: str = "") -> httpx.Response:
    files = [("video", ("a.mp4", video)), ("categories", ("c.json", json.dumps(categories).encode()))]
    return api.post(f"/video{query}", files=files, timeout=120)


def picture(image: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")


def test_each_category_gets_the_frame_that_shows_it(api: httpx.Client) -> None:
    video = slideshow([SCENES[label] for label in SHOWN], seconds_each=3)
    answer = ask(api, video, SHOWN, "?details=true")
    assert answer.status_code == 201, answer.text
    for index, label in enumerate(SHOWN):
        found = answer.json()[label]
        assert 3 * index <= found["timestamp_s"] < 3 * index + 3, label
        assert 0.5 < found["score"] <= 1
        assert picture(found["image"]).size == (320, 240)
    plain = ask(api, video, SHOWN).json()
    assert plain == {label: [found["filename"], found["image"]] for label, found in answer.json().items()}


def test_the_picture_is_of_its_second_and_has_the_right_colours(api: httpx.Client) -> None:
    ((filename, image),) = ask(api, coloured(4), ["anything"]).json().values()
    second = int(filename.removeprefix("frame_")[:6])
    corner = np.asarray(picture(image))[-8:, -8:].reshape(-1, 3).mean(axis=0)
    assert np.abs(corner - np.array(COLOURS[second])).max() < 12


@pytest.mark.parametrize(
    "video",
    [b"", b"this is text, whatever its name says", audio_only(), coloured(2)[:600]],
    ids=["empty", "text", "audio", "cut off"],
)
def test_files_that_are_not_videos_are_refused(api: httpx.Client, video: bytes) -> None:
    answer = ask(api, video, ["a"])
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid video, the file a.mp4 seems to be broken"})


def test_a_category_that_is_too_long_is_refused(api: httpx.Client) -> None:
    answer = ask(api, coloured(1), ["word " * 80])
    assert answer.status_code == 400
    assert "too long" in answer.json()["error"]


def test_the_form(api: httpx.Client) -> None:
    assert 'name="video"' in api.get("/video").text
