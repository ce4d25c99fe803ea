"""Small videos that cost much: they are refused, or read, within seconds of a core, and no frame is too large."""

import contextlib
import random
import resource
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from deployments.runtime.errors import ModelError, VideoTooLarge
from deployments.video.deployment import Video as VideoDeployment
from deployments.video.film import Refused, Video
from deployments.video.sizes import keeps_size
from testbed.doubles.videos import coloured
from testbed.hostile.videos import HOSTILE, growing, growing_jpegs, packets_of
from testbed.replicas import replica_class

MOST_BYTES, MOST_SECONDS = 1_000_000, 3.5  # including what the kernel takes to notice


def readers_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def read(data: bytes, **limits: Any) -> tuple[int, str]:
    """How many frames of 32 × 32 are read, and by what."""
    count, by = 0, ""
    async with aclosing(replica_class(VideoDeployment)(1, 600, **limits).frames(data, 1, 600, 32)) as batches:
        async for batch in batches:
            count, by = count + len(batch.times_s), batch.facts.reader
    return count, by


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_small_video_takes_more_than_three_seconds_of_a_core(name: str) -> None:
    data = HOSTILE[name]()
    assert len(data) < MOST_BYTES
    before = readers_seconds()
    await read(coloured(1))
    start = readers_seconds() - before
    try:
        await read(data)
    except ModelError as refused:
        says = str(refused)
    else:
        says = "read: fine"
    assert ":" in says, "a refusal says what to do"
    assert readers_seconds() - before - 2 * start < MOST_SECONDS


@pytest.mark.parametrize("made", [HOSTILE["PNG of too large frames"], HOSTILE["PNG that grows"], growing_jpegs])
async def test_frames_of_too_many_pixels_are_refused(made: Callable[[], bytes]) -> None:
    with pytest.raises(VideoTooLarge, match="at most 100 megapixels are accepted: scale it down"):
        await read(made())


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("mp4", "mpeg4"), ("webm", "libvpx-vp9")]
)
async def test_the_limit_holds_for_every_codec_from_its_first_frame(container: str, codec: str) -> None:
    data = coloured(1, container=container, codec=codec, size=(640, 480))
    with pytest.raises(VideoTooLarge, match="scale it down"):
        await read(data, max_pixels=640 * 480 - 1)
    assert (await read(data, max_pixels=640 * 480))[0] == 1


@pytest.mark.parametrize(
    ("container", "codec", "encoder"),
    [("mp4", "h264", "libx264"), ("matroska", "vp9", "libvpx-vp9"), ("mp4", "mpeg4", "mpeg4")],
)
async def test_a_size_that_changes_in_mid_stream_is_no_way_around(container: str, codec: str, encoder: str) -> None:
    data = growing(container, codec, encoder)
    with pytest.raises(VideoTooLarge):
        await read(data, max_pixels=640 * 480 - 1)
    assert await read(data, max_pixels=640 * 480) == (6, "pyav")


def test_a_codec_whose_headers_are_not_known_keeps_no_size() -> None:
    for codec, encoder in [("vp8", "libvpx"), ("vp9", "libvpx-vp9")]:
        [packet], header = packets_of(encoder, (320, 240))
        assert keeps_size(codec, header, (320, 240), packet)
        assert not keeps_size(codec, header, (640, 480), packet)
    assert keeps_size("vp8", b"", (320, 240), b"\x01 no key frame")
    assert keeps_size("vp8", b"", (320, 240), b"")
    assert not keeps_size("av1", header, (320, 240), packet)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "libx264"), ("flv", "libx264"), ("avi", "mpeg4"),
        ("mp4", "mpeg4"), ("webm", "libvpx-vp9"), ("asf", "wmv2"), ("mpeg", "libx264"), ("flv", "flv"),
        ("matroska", "ffv1"),
    ],
)  # fmt: skip
def test_no_damage_is_taken_for_a_fault_of_ours(container: str, codec: str, tmp_path: Path) -> None:
    """In this process, where an error of the reader itself would be raised."""
    whole, chance = coloured(2, container=container, codec=codec), random.Random(codec + container)
    file = tmp_path / "damaged"
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 5, 40])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        file.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        with contextlib.suppress(Refused):
            video = Video(str(file), 1, 600, 1_000_000)
            wanted, _ = video.timeline.sample(chance.choice([0.1, 1]), 600)
            for _, image in video.frames(wanted):
                assert image.mode == "RGB"


async def test_a_long_video_in_few_bytes_is_read() -> None:
    data = coloured(120, size=(640, 480))
    assert len(data) < MOST_BYTES
    assert (await read(data))[0] == 120
