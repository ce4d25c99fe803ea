"""Frames are those shown at their times, upright and in the right colours; a bad video only fails its own request."""

import io
import pickle
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from configs.settings import SettingsError, settings_from
from deployments.pictures.preprocessing import fit
from deployments.runtime.errors import NoFrames, ReaderFailed, VideoBroken, VideoTooLong
from deployments.video.deployment import Video
from deployments.video.spec import SPEC
from testbed.doubles.videos import audio_only, colour_at, coloured, encode, picture, repacked
from testbed.paths import shared
from testbed.replicas import replica_class
from tests.models.videos import SIZE, frames, pixels, reader, times

# The largest change that a codec may make to a channel.
CLOSE = 12


def white_corner(image: Any) -> str:
    near, far = len(image) // 8, -len(image) // 8
    corners = {"upper left": (near, near), "upper right": (near, far), "lower left": (far, near)}
    found = [name for name, corner in corners.items() if image[corner].min() > 220]
    return found[0] if found else "lower right"


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "libx264"),
        ("mp4", "mpeg4"),
        ("mov", "libx264"),
        ("webm", "libvpx-vp9"),
        ("matroska", "libx264"),
        ("avi", "mpeg4"),
        ("avi", "libx264"),
        ("asf", "wmv2"),
        ("flv", "libx264"),
        ("mpegts", "libx264"),
    ],
)
async def test_every_container_gives_the_colour_of_each_second(container: str, codec: str) -> None:
    batches = await frames(coloured(6, container=container, codec=codec))
    assert times(batches) == [0, 1, 2, 3, 4, 5]
    for second, frame in enumerate(pixels(batches)):
        assert np.abs(frame[-4, -4] - colour_at(second)).max() <= CLOSE, second
    facts = batches[-1].facts
    assert (facts.width, facts.height, facts.step_s, facts.complete, facts.reader) == (128, 96, 1, True, "pyav")
    assert facts.duration_s == pytest.approx(6, abs=0.11)


async def test_frames_are_fitted_as_images_are() -> None:
    (batch,) = await frames(coloured(1))
    expected = fit(Image.fromarray(picture(0, (128, 96))), SIZE)
    assert batch.pixels.shape == (1, SIZE, SIZE, 3)
    assert batch.pixels.dtype == np.uint8
    assert np.abs(batch.pixels[0].astype(int) - expected).mean() < 4


async def test_frames_are_chosen_by_time_and_not_by_number() -> None:
    batches = await frames(encode([0, 0.1, 0.2, 0.9, 1.05, 1.1, 2.95, 3.0, 5.5, 6.2]))
    # What is seen at 0, 1, 2, 3, 4, 5 and 6 s; what stands for longer is not given twice.
    assert times(batches) == [0, 0.9, 1.1, 3.0, 5.5]
    for moment, frame in zip(times(batches), pixels(batches), strict=True):
        assert np.abs(frame[-4, -4] - colour_at(moment)).max() <= CLOSE, moment


@pytest.mark.parametrize(
    ("step_s", "most", "expected"), [(0.5, 600, 0.5), (1, 600, 1), (1, 12, 1), (1, 11, 1.19), (1, 2, 11.9)]
)
async def test_a_step_is_widened_and_never_the_end_cut_off(step_s: float, most: int, expected: float) -> None:
    batches = await frames(coloured(12), step_s, most)
    assert batches[-1].facts.step_s == pytest.approx(expected)
    assert len(times(batches)) == min(most, int(11.9 / expected + 1e-6) + 1)
    assert times(batches)[-1] > 11.9 - expected


async def test_a_single_frame_may_be_asked_for() -> None:
    assert times(await frames(coloured(3), 1, 1)) == [0]


async def test_batches_are_of_sixteen() -> None:
    assert [len(batch.times_s) for batch in await frames(coloured(5), 0.1)] == [16, 16, 16, 2]
    assert [len(batch.times_s) for batch in await frames(coloured(3.2), 0.1)] == [16, 16]


@pytest.mark.parametrize(
    ("rotation", "flipped", "corner"),
    [
        (0, False, "upper left"),
        (90, False, "lower left"),
        (180, False, "lower right"),
        (-90, False, "upper right"),
        (0, True, "upper right"),
        (180, True, "lower left"),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "matroska"])
async def test_a_frame_is_upright(container: str, rotation: int, flipped: bool, corner: str) -> None:
    data = coloured(1, container=container, rotation=rotation, flipped=flipped)
    (batch,) = await frames(data)
    assert white_corner(batch.pixels[0]) == corner
    sideways = rotation % 180 != 0
    assert (batch.facts.width, batch.facts.height) == ((96, 128) if sideways else (128, 96))
    (jpeg,) = await reader().frame_jpegs(data, batch.times_s, 1000)
    assert white_corner(np.asarray(Image.open(io.BytesIO(jpeg)))) == corner


async def test_jpegs_are_of_the_same_frames_in_the_order_asked_for() -> None:
    data = coloured(6, size=(320, 240))
    asked = [4.0, 0.0, 2.0, 4.0]
    jpegs = [np.asarray(Image.open(io.BytesIO(jpeg))) for jpeg in await reader().frame_jpegs(data, asked, 160)]
    for second, image in zip(asked, jpegs, strict=True):
        assert image.shape == (120, 160, 3)
        assert np.abs(image[-4, -4].astype(int) - colour_at(second)).max() <= CLOSE


@pytest.mark.parametrize("container", ["mp4", "flv", "mpegts"])
async def test_the_real_video_is_the_same_however_it_is_asked_for(container: str) -> None:
    """Far apart, near and single, which seek differently."""
    data = repacked(shared("images/pan_h264_720p_60s.mp4").read_bytes(), container)
    every = await frames(data, 1)
    assert times(every) == list(range(60))
    few = await frames(data, 13)
    assert times(few) == [0, 13, 26, 39, 52]
    assert (pixels(few) == pixels(every)[[0, 13, 26, 39, 52]]).all()


@pytest.mark.parametrize("container", ["matroska", "mp4"])
async def test_what_is_there_of_a_truncated_file_is_given(container: str) -> None:
    data = coloured(30, container=container, size=(320, 240), faststart=container == "mp4")
    batches = await frames(data[: int(len(data) * 0.7)])
    assert not batches[-1].facts.complete
    assert 3 <= len(times(batches)) < 30
    assert times(batches) == list(range(len(times(batches))))
    for second, frame in enumerate(pixels(batches)):
        assert np.abs(frame[-4, -4] - colour_at(second)).max() <= CLOSE, second


async def test_a_file_that_is_broken_in_the_middle_says_so() -> None:
    data = bytearray(coloured(30, container="matroska", size=(320, 240)))
    middle = slice(len(data) * 4 // 10, len(data) * 6 // 10)
    data[middle] = np.random.default_rng(1).bytes(middle.stop - middle.start)
    batches = await frames(bytes(data))
    assert not batches[-1].facts.complete
    assert {0, 1, 28, 29} <= set(times(batches))


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", VideoBroken, "send MP4"),
        (b"not a video" * 100, VideoBroken, "send MP4"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", VideoBroken, "send MP4"),
        (coloured(3)[:1500], VideoBroken, "send MP4"),
        (coloured(3)[:2000], VideoBroken, "encode it again"),
        (coloured(0), NoFrames, "no video stream"),
        (audio_only(), NoFrames, "no video stream"),
    ],
    ids=["empty", "text", "playlist", "without its index", "with half of its index", "no frames", "audio"],
)
async def test_a_file_without_frames_says_what_to_do(data: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        await frames(data)
    with pytest.raises(error, match=says):
        await reader().frame_jpegs(data, [0.0], 100)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
async def test_a_video_that_is_too_long_is_refused(container: str) -> None:
    with pytest.raises(VideoTooLong, match="cut it"):
        await frames(coloured(6, container=container), max_seconds=5)
    assert times(await frames(coloured(6, container=container), max_seconds=7))


async def test_a_header_that_lies_about_the_length_does_not_help() -> None:
    data = encode([0, 1, 2, 900, 901], options={"movflags": "frag_keyframe+empty_moov"})
    with pytest.raises(VideoTooLong):
        await frames(data)


@pytest.mark.parametrize("error", [VideoBroken, VideoTooLong, NoFrames, ReaderFailed])
def test_errors_can_be_pickled(error: type[Exception]) -> None:
    assert str(pickle.loads(pickle.dumps(error("do this")))) == "do this"  # noqa: S301 - our own


def test_decord_that_is_not_installed_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SPEC.arguments(settings_from({}), (), {})[-1] == "auto"
    monkeypatch.setattr("deployments.video.spec.find_spec", lambda name: None)
    assert SPEC.arguments(settings_from({"video_reader": "pyav"}), (), {})[-1] == "pyav"
    with pytest.raises(SettingsError, match="VIDEO_READER=decord needs the extra 'decord'"):
        SPEC.arguments(settings_from({"video_reader": "decord"}), (), {})


async def test_decord_reads_in_both_passes_when_it_is_asked_for() -> None:
    pytest.importorskip("decord", reason="decord is not installed: `uv pip install -e '.[decord]'`")
    data, video = coloured(6), replica_class(Video)(1, 600, reader="decord")
    (batch,) = [batch async for batch in video.frames(data, 1, 600, SIZE)]
    assert batch.facts.reader == "decord"
    assert len(await video.frame_jpegs(data, batch.times_s, 128, batch.digests)) == 6
    (turned,) = [batch async for batch in video.frames(coloured(1, flipped=True), 1, 600, SIZE)]
    assert turned.facts.reader == "pyav"


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (64, 48), "upper left"),
        (3, (64, 48), "lower right"),
        (6, (48, 64), "upper right"),
        (8, (48, 64), "lower left"),
    ],
)
async def test_motion_jpeg_with_exif_is_upright(orientation: int, size: tuple[int, int], corner: str) -> None:
    exif, jpeg, film = Image.Exif(), io.BytesIO(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(picture(0, (64, 48))).save(jpeg, "JPEG", exif=exif)
    with av.open(film, "w", format="mov") as output:
        stream = output.add_stream("mjpeg", rate=10, width=64, height=48, pix_fmt="yuvj420p")
        output.start_encoding()
        packet = av.Packet(jpeg.getvalue())
        packet.pts, packet.dts, packet.time_base, packet.stream, packet.is_keyframe = (
            0,
            0,
            Fraction(1, 10),
            stream,
            True,
        )
        output.mux(packet)
    (batch,) = await frames(film.getvalue())
    assert (batch.facts.width, batch.facts.height) == size
    assert white_corner(batch.pixels[0]) == corner


async def test_metadata_that_is_no_text_does_not_matter() -> None:
    data = coloured(1, container="matroska")
    assert data.count(b"Lavf") >= 1
    assert times(await frames(data.replace(b"Lavf", b"\xff\xfe\xfd\xfc"))) == [0]
