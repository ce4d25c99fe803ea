"""The frame of each moment, in both passes: films of many codecs, containers and structures whose frames show numbers.

The films are made by the `ffmpeg` of the system, and read by the objects that the reader's process uses.
"""

import io
import random
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.runtime.errors import VideoBroken
from deployments.video.deployment import Video as VideoDeployment
from deployments.video.film import Video
from deployments.video.reader import digest
from testbed.doubles.films import FFMPEG, Film, ffmpeg, make, number_of
from testbed.replicas import replica_class

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed: `apt-get install ffmpeg`")

X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25"
OPEN = "-bf 3 -x264-params open-gop=1"
X265 = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:keyint=25"
VPX = "-deadline good -cpu-used 5 -b:v 500k -auto-alt-ref 1 -lag-in-frames 16 -g 40"
LIVE = "-deadline realtime -cpu-used 8 -b:v 500k -g 30"
MPEG4, MPEG2 = "-c:v mpeg4 -q:v 3", "-c:v mpeg2video -q:v 3 -bf 2"
UNEVEN = "-fps_mode passthrough -enc_time_base 1/1000 -vf settb=1/1000,setpts="
FILMS = {
    "H.264 MP4": Film("mp4", X264),
    "H.264 MP4, no B-frames": Film("mp4", f"{X264} -tune zerolatency"),
    "H.264 MP4, pyramid of B-frames": Film("mp4", f"{X264} -bf 7 -refs 5 -x264-params b-pyramid=normal:b-adapt=0"),
    "H.264 MP4, open GOP": Film("mp4", f"{X264} {OPEN}"),
    "H.264 MP4, intra refresh": Film("mp4", f"{X264} -bf 0 -intra-refresh 1"),
    "H.264 MP4, key frames alone": Film("mp4", f"{X264} -g 1"),
    "H.264 MP4, one key frame": Film("mp4", f"{X264} -g 999 -sc_threshold 0"),
    "H.264 MP4, 29.97 a second": Film("mp4", X264, "30000/1001"),
    "H.264 MP4, 23.976 a second": Film("mp4", X264, "24000/1001"),
    "H.264 MP4, a frame a second": Film("mp4", X264, "1", 30),
    "H.264 MP4, fragments": Film("mp4", f"{X264} -movflags frag_keyframe+empty_moov"),
    "H.264 MP4, no edit list": Film("mp4", f"{X264} -use_editlist 0"),
    "H.264 MP4, starts late": Film("mp4", f"{X264} -output_ts_offset 7.3"),
    "H.264 MP4, interlaced": Film("mp4", f"{X264} -flags +ildct+ilme"),
    "H.264 MP4, 4:2:2 of 10 bits": Film("mp4", f"{X264} -pix_fmt yuv422p10le"),
    "H.264 MP4, lossless RGB": Film("mp4", "-c:v libx264rgb -preset ultrafast -qp 0 -g 25"),
    "H.264 MOV": Film("mov", X264),
    "H.264 3GP": Film("3gp", X264),
    "H.264 MKV": Film("mkv", X264),
    "H.264 MKV, open GOP": Film("mkv", f"{X264} {OPEN}"),
    "H.264 MKV, intra refresh": Film("mkv", f"{X264} -bf 0 -intra-refresh 1"),
    "H.264 TS": Film("ts", X264),
    "H.264 TS, open GOP": Film("ts", f"{X264} {OPEN}"),
    "H.264 TS, intra refresh": Film("ts", f"{X264} -bf 0 -intra-refresh 1", "30000/1001"),
    "H.264 M2TS": Film("m2ts", X264),
    "H.264 FLV": Film("flv", X264),
    "H.264 AVI": Film("avi", X264),
    "H.264 AVI, no B-frames": Film("avi", f"{X264} -bf 0"),
    "H.264 MPEG-PS": Film("mpg", f"{X264} -f mpeg"),
    "HEVC MP4, open GOP": Film("mp4", X265),
    "HEVC MP4, closed GOP": Film("mp4", f"{X265}:open-gop=0 -tag:v hvc1"),
    "HEVC MP4, intra refresh": Film("mp4", f"{X265}:intra-refresh=1"),
    "HEVC MP4, temporal layers": Film("mp4", f"{X265}:temporal-layers=1:b-pyramid=1:bframes=4"),
    "HEVC MKV, open GOP": Film("mkv", X265),
    "HEVC TS, open GOP": Film("ts", X265),
    "HEVC MOV, 10 bits, 59.94 a second": Film("mov", f"{X265} -pix_fmt yuv420p10le", "60000/1001"),
    "MPEG-4 MP4": Film("mp4", MPEG4),
    "MPEG-4 MP4, B-frames": Film("mp4", f"{MPEG4} -bf 2"),
    "MPEG-4 MKV, B-frames": Film("mkv", f"{MPEG4} -bf 2"),
    "MPEG-4 AVI": Film("avi", MPEG4),
    "MPEG-4 AVI, B-frames": Film("avi", f"{MPEG4} -bf 2"),
    "MS MPEG-4 AVI": Film("avi", "-c:v msmpeg4 -q:v 3"),
    "MPEG-2 MPEG-PS": Film("mpg", MPEG2),
    "MPEG-2 VOB, 29.97 a second": Film("vob", MPEG2, "30000/1001"),
    "MPEG-2 TS": Film("ts", MPEG2),
    "MPEG-2 TS, closed GOP": Film("ts", f"{MPEG2} -flags +cgop -sc_threshold 1000000000"),
    "MPEG-2 MP4": Film("mp4", MPEG2),
    "MPEG-2 MKV": Film("mkv", MPEG2),
    "MPEG-1 MPEG-PS": Film("mpg", "-c:v mpeg1video -q:v 3 -bf 2"),
    "H.263 3GP": Film("3gp", "-c:v h263 -q:v 3"),
    "QuickTime Animation MOV": Film("mov", "-c:v qtrle"),
    "Cinepak MOV": Film("mov", "-c:v cinepak", "10", 50),
    "ProRes MOV": Film("mov", "-c:v prores_ks"),
    "PNG MOV": Film("mov", "-c:v png"),
    "Motion JPEG MOV": Film("mov", "-c:v mjpeg -q:v 3"),
    "Motion JPEG AVI": Film("avi", "-c:v mjpeg -q:v 3"),
    "Motion JPEG MKV": Film("mkv", "-c:v mjpeg -q:v 3"),
    "Ut Video AVI": Film("avi", "-c:v utvideo"),
    "FFV1 MKV": Film("mkv", "-c:v ffv1 -g 10"),
    "VP8 WebM": Film("webm", f"-c:v libvpx {LIVE}"),
    "VP8 WebM, hidden frames": Film("webm", f"-c:v libvpx {VPX}"),
    "VP9 WebM": Film("webm", f"-c:v libvpx-vp9 {LIVE}"),
    "VP9 WebM, hidden frames": Film("webm", f"-c:v libvpx-vp9 {VPX}"),
    "VP9 MP4": Film("mp4", f"-c:v libvpx-vp9 {LIVE}"),
    "AV1 MKV": Film("mkv", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 20", frames=40),
    "AV1 MP4": Film("mp4", "-c:v libsvtav1 -preset 12 -g 16", frames=60),
    "Theora Ogg": Film("ogv", "-c:v libtheora -q:v 7"),
    "WMV2 WMV": Film("wmv", "-c:v wmv2 -q:v 3"),
    "WMV1 ASF": Film("asf", "-c:v wmv1 -q:v 3"),
    "Sorenson FLV": Film("flv", "-c:v flv -q:v 3"),
    "Flash screen FLV": Film("flv", "-c:v flashsv"),
    "GIF": Film("gif", "", "10", 50),
}
# Uneven films: how ffmpeg spaces their frames, and when those are shown, in milliseconds.
LIMPING = ("N*40+mod(N\\,3)*11", [number * 40 + number % 3 * 11 for number in range(100)])
PAUSING = ("N*40+floor(N/30)*3000", [number * 40 + number // 30 * 3000 for number in range(100)])
UNEVENLY = {
    "MP4": (Film("mp4", f"{X264} {UNEVEN}{LIMPING[0]}"), LIMPING[1]),
    "MP4, open GOP, pauses": (Film("mp4", f"{X264} {OPEN} {UNEVEN}{PAUSING[0]}"), PAUSING[1]),
    "MKV, pauses": (Film("mkv", f"{X264} {UNEVEN}{PAUSING[0]}"), PAUSING[1]),
    "WebM": (Film("webm", f"-c:v libvpx-vp9 {LIVE} {UNEVEN}{LIMPING[0]}"), LIMPING[1]),
}
ACCURACY_S = 0.006  # containers that round to milliseconds, GIF to hundredths


def opened(path: Path, threads: int = 1) -> Video:
    return Video(str(path), threads, 600, 100_000_000)


def read(path: Path, times: Sequence[float], threads: int) -> dict[float, tuple[int, int]]:
    """The number and the digest of the frame of each of these times."""
    video = opened(path, threads)
    found = {time: (number_of(image), digest(image)) for time, image in video.frames(times)}
    assert video.complete
    assert list(found) == list(times)
    return found


def assert_true(path: Path, seconds: Sequence[float], seed: str) -> None:
    """Read a file at random moments, twice; `seconds` are when each of its frames is shown."""
    chance = random.Random(seed)
    timeline = opened(path).timeline
    assert timeline.times == pytest.approx(np.array(seconds) - seconds[0], abs=ACCURACY_S)
    step_s = chance.uniform(0.1, 0.5) * seconds[-1]
    sampled, _ = timeline.sample(step_s, 600)
    alone = chance.choices(timeline.times.tolist(), k=2)
    for first, second in [(sampled, sorted(chance.sample(sampled, 2))), (sorted({*alone, 0.0}), [alone[0]])]:
        seen = read(path, first, 1)
        assert {time: number for time, (number, _) in seen.items()} == {time: shown_at(seconds, time) for time in first}
        assert read(path, second, 2) == {time: seen[time] for time in second}


def shown_at(seconds: Sequence[float], moment: float) -> int:
    """The number of the frame that is shown at a moment."""
    return sum(second <= moment + ACCURACY_S for second in seconds) - 1


@pytest.mark.parametrize("name", FILMS)
def test_the_frame_of_each_moment_is_read_in_both_passes(name: str, tmp_path: Path) -> None:
    film = FILMS[name]
    assert_true(make(film, tmp_path), [film.second(number) for number in range(film.frames)], name)


@pytest.mark.parametrize("name", UNEVENLY)
def test_uneven_films_are_read_by_time(name: str, tmp_path: Path) -> None:
    film, milliseconds = UNEVENLY[name]
    assert_true(make(film, tmp_path), [time / 1000 for time in milliseconds], name)


@pytest.mark.parametrize(
    ("container", "options"),
    [
        (container, options)
        for container in ("mp4", "mkv")
        for options in (X264, f"{X264} {OPEN}", X265, f"{MPEG4} -bf 2")
    ]
    + [("ts", X264), ("flv", X264)],
)
def test_a_film_that_was_cut_without_encoding_is_read_by_time(container: str, options: str, tmp_path: Path) -> None:
    film = Film("mp4", options)
    whole, cut = make(film, tmp_path), tmp_path / f"cut.{container}"
    ffmpeg(["-ss", "1.5", "-i", str(whole), "-c", "copy", str(cut)])
    video = opened(cut)
    numbers = {time: number_of(image) for time, image in video.frames(video.timeline.times.tolist())}
    assert list(numbers.values()) == list(range(film.frames - len(numbers), film.frames))
    first = numbers[max(numbers)] - round(max(numbers) * 25)
    assert 25 <= first <= 38
    assert numbers == {time: first + round(time * 25) for time in numbers}
    later = [list(numbers)[place] for place in (7, 20, 40)]
    assert {time: number_of(image) for time, image in opened(cut).frames(later)} == {
        time: numbers[time] for time in later
    }


DECORDS = [name for name in FILMS if name.startswith("H.264 M") and "MPEG" not in name and "M2TS" not in name]
NOT_DECORDS = ("open GOP", "intra refresh", "10 bits", "RGB")


@pytest.mark.parametrize("name", [*DECORDS, "HEVC MP4, temporal layers", "MPEG-4 MP4, B-frames", "VP9 WebM"])
def test_decord_reads_what_it_reads_right_when_it_is_asked_for(name: str, tmp_path: Path) -> None:
    pytest.importorskip("decord", reason="decord is not installed: `uv pip install -e '.[decord]'`")
    film = FILMS[name]
    path, chance = make(film, tmp_path), random.Random(name)
    seconds = [film.second(number) for number in range(film.frames)]
    for count in (6, 2):
        video = Video(str(path), 1, 600, 100_000_000, "decord")
        asked = sorted(chance.sample(video.timeline.times.tolist(), count))
        found = {time: number_of(image) for time, image in video.frames(asked)}
        assert found == {time: shown_at(seconds, time) for time in asked}
        right = name in DECORDS and not any(structure in name for structure in NOT_DECORDS)
        assert video.reader == ("decord" if right else "pyav")


async def both_passes(data: bytes, step_s: float) -> tuple[list[tuple[float, int]], list[int]]:
    """The times and numbers of the frames of the first pass, and the numbers of the same frames in the second."""
    video: Any = replica_class(VideoDeployment)(1, 600)
    found, digests = list[tuple[float, int]](), list[int]()
    async with aclosing(video.frames(data, step_s, 600, 96, False)) as batches:
        async for batch in batches:
            numbers = [number_of(Image.fromarray(image)) for image in batch.pixels]
            found += zip(batch.times_s, numbers, strict=True)
            digests += batch.digests
    jpegs = await video.frame_jpegs(data, [time for time, _ in found], 128, digests)
    return found, [number_of(Image.open(io.BytesIO(jpeg))) for jpeg in jpegs]


@pytest.mark.parametrize(
    "name",
    ["H.264 MP4", "H.264 MKV, open GOP", "H.264 AVI", "HEVC MP4, open GOP", "MPEG-2 MPEG-PS", "VP9 WebM", "WMV2 WMV"],
)
async def test_the_frame_that_was_scored_is_the_one_that_is_sent(name: str, tmp_path: Path) -> None:
    film = FILMS[name]
    found, sent = await both_passes(make(film, tmp_path).read_bytes(), 0.37)
    seconds = [film.second(number) for number in range(film.frames)]
    assert len(found) == int(seconds[-1] / 0.37) + 1
    assert [number for _, number in found] == [shown_at(seconds, time) for time, _ in found]
    assert sent == [number for _, number in found]


async def test_no_other_frame_is_sent_than_the_one_that_was_scored(tmp_path: Path) -> None:
    data = make(FILMS["H.264 MP4"], tmp_path).read_bytes()
    video: Any = replica_class(VideoDeployment)(1, 600)
    (batch,) = [batch async for batch in video.frames(data, 1, 600, 96)]
    assert len(await video.frame_jpegs(data, batch.times_s[:2], 96, batch.digests[:2])) == 2
    with pytest.raises(VideoBroken, match="the same way twice: encode it again"):
        await video.frame_jpegs(data, batch.times_s[:2], 96, batch.digests[1:3])


@pytest.mark.parametrize("name", ["H.264 MKV", "H.264 TS", "HEVC MKV, open GOP", "MPEG-2 TS", "MPEG-4 AVI, B-frames"])
async def test_what_is_left_of_a_damaged_film_is_the_same_in_both_passes(name: str, tmp_path: Path) -> None:
    data = bytearray(make(FILMS[name], tmp_path).read_bytes())
    chance = random.Random(name)
    for _ in range(12):
        data[chance.randrange(len(data) // 5, len(data))] ^= 1 << chance.randrange(8)
    found, sent = await both_passes(bytes(data), 0.3)
    assert sent == [number for _, number in found]
