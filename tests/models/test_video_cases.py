"""The small videos beside the checkout that were answered wrongly, through both methods of the deployment.

Each second of most of them has a colour of its own, with white in the upper left quarter.
"""

import io
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.pictures.pixels import Pixels
from deployments.video.deployment import Video, VideoFacts
from testbed.doubles.films import number_of
from testbed.doubles.videos import colour_at
from testbed.paths import shared
from testbed.replicas import replica_class

CLOSE = 6  # of 255


async def read(name: str, step_s: float = 1) -> tuple[VideoFacts, dict[float, Pixels]]:
    """The facts and whole frames of a case, each of which is the same in both passes."""
    data, video = shared(f"cases/video/{name}").read_bytes(), _video()
    frames, digests = dict[float, Pixels](), list[int]()
    async with aclosing(video.frames(data, step_s, 600, 1000, False)) as batches:
        async for batch in batches:
            frames |= zip(batch.times_s, batch.pixels.astype(int), strict=True)
            digests += batch.digests
    jpegs = await video.frame_jpegs(data, list(frames), 1000, digests)
    for jpeg, frame in zip(jpegs, frames.values(), strict=True):
        assert np.abs(np.asarray(Image.open(io.BytesIO(jpeg))).astype(int) - frame).mean() < CLOSE
    assert batch.facts.complete
    return batch.facts, frames


def _video() -> Any:
    return replica_class(Video)(1, 600)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("qtrle.mov", 6),
        ("opengop.mkv", 6),
        ("one.mp4", 1),
        ("tlrot.mp4", 6),
        ("tl.ts", 6),
        ("pq.mp4", 6),
        ("styp.mp4", 6),
    ],
)
async def test_each_second_has_its_colour(name: str, seconds: int) -> None:
    _, frames = await read(name)
    assert list(frames) == pytest.approx(list(range(seconds)), abs=0.01)
    for second, frame in enumerate(frames.values()):
        assert np.abs(frame[-4, -4] - colour_at(second)).max() <= CLOSE, second


@pytest.mark.parametrize("name", ["late265g.mp4", "latem4.mp4"])
async def test_a_scene_that_ends_on_a_second_is_shown_in_it(name: str) -> None:
    """The frame at second k is the last of scene k: a frame later shows the next colour."""
    _, frames = await read(name)
    assert list(frames) == list(range(7))
    for second, frame in frames.items():
        assert np.abs(frame[-4, -4] - colour_at(second)).max() <= CLOSE, second


async def test_intra_refresh_is_read_by_number() -> None:
    for step_s in (1, 0.3, 0.7):
        _, frames = await read("c_ir.mp4", step_s)
        numbers = [number_of(Image.fromarray(frame.astype(np.uint8))) for frame in frames.values()]
        assert numbers == [round(time * 10) for time in frames]


async def test_the_white_of_hdr_is_white() -> None:
    _, frames = await read("pq.mp4")
    assert min(frame[4, 4].min() for frame in frames.values()) >= 243


async def test_an_upright_video_is_upright() -> None:
    facts, frames = await read("tlrot.mp4")
    assert (facts.width, facts.height) == (96, 128)
    assert frames[0].shape == (128, 96, 3)


async def test_circles_are_round() -> None:
    facts, frames = await read("sarcircle.mp4")
    assert (facts.width, facts.height) == (480, 360)
    dark = frames[0].mean(axis=2) < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=4)
