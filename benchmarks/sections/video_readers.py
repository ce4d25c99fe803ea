"""PyAV against decord: a frame a second of a video in many forms, decoded in this process with one thread.

The forms are made of a real video by the `ffmpeg` of the system. decord is asked for the same frames even where it
would be wrong, since only its time counts here. About two minutes on 2 cores.
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import cli, report
from deployments.video import by_decord
from deployments.video.film import Video
from testbed.doubles.films import ffmpeg

SECONDS = 20
X264 = "-c:v libx264 -preset veryfast"
FORMS = {
    "H.264 MP4, B-frames": ("mp4", X264),
    "H.264 MP4, a key frame a second": ("mp4", f"{X264} -g 30"),
    "H.264 MP4, no B-frames, as a phone": ("mp4", f"{X264} -bf 0 -g 30"),
    "H.264 MP4, one key frame": ("mp4", f"{X264} -bf 0 -g 9999 -sc_threshold 0"),
    "H.264 MKV, B-frames": ("mkv", X264),
    "HEVC MP4": ("mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none:open-gop=0:keyint=30"),
    "VP9 WebM": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 1M"),
    "MPEG-4 MP4": ("mp4", "-c:v mpeg4 -q:v 5"),
    "Motion JPEG MOV": ("mov", "-c:v mjpeg -q:v 5"),
}


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of CPU."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure, print the section and write it."""
    parser = cli.parser(__doc__)
    parser.add_argument("video", type=Path, help="the file of which the forms are made")
    parser.add_argument("--rounds", type=int, default=5, help="times each is measured; medians count (default: 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(name, form(name, options.video, Path(folder)), options.rounds) for name in FORMS]
    section = render(options, rows)
    print(section)
    report.update_section("video-readers", section)


def form(name: str, video: Path, folder: Path) -> Path:
    container, encoder = FORMS[name]
    path = folder / f"film.{container}"
    ffmpeg(["-t", str(SECONDS), "-i", str(video), "-an", *encoder.split(), str(path)])
    return path


def row(name: str, path: Path, rounds: int) -> str:
    ways: dict[Callable[[Path], int], list[Cost]] = {by_pyav: [], with_decord: []}
    for _ in range(rounds):
        for way, costs in ways.items():
            costs.append(cost(way, path))
    pyav, decord = (
        Cost(statistics.median(one.wall_s for one in costs), statistics.median(one.cpu_s for one in costs))
        for costs in ways.values()
    )
    seconds = f"{pyav.wall_s:.2f} | {decord.wall_s:.2f} | {pyav.cpu_s:.2f} | {decord.cpu_s:.2f}"
    return f"| {name} | {seconds} | {decord.wall_s / pyav.wall_s:.2f} |"


def cost(way: Callable[[Path], int], path: Path) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    assert way(path) == SECONDS
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def by_pyav(path: Path) -> int:
    video = Video(str(path), 1, 600, 100_000_000)
    return sum(1 for _ in video.frames(video.timeline.sample(1, 600)[0]))


def with_decord(path: Path) -> int:
    """As the reader asks decord: PyAV says when the frames are."""
    timeline = Video(str(path), 1, 600, 100_000_000).timeline
    numbers = deque(np.searchsorted(timeline.times, timeline.sample(1, 600)[0]).tolist())
    return sum(1 for _ in by_decord.frames(str(path), 1, timeline.times, numbers))


def render(options: argparse.Namespace, rows: list[str]) -> str:
    """The section in Markdown."""
    lines = [
        "## PyAV and decord",
        "",
        f"{report.machine('av', 'decord')}. "
        f"`python -m benchmarks.sections.video_readers {options.video.name} --rounds {options.rounds}`",
        "",
        f"{SECONDS} s of {options.video.name} in many forms, a frame a second, one thread; medians of the rounds.",
        "",
        "| form | PyAV, s | decord, s | PyAV, CPU s | decord, CPU s | decord ÷ PyAV |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([*lines, *rows])


if __name__ == "__main__":
    main()
