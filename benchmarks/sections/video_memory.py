"""How much memory a long video takes: ten minutes of 1080p through `deployments.video.deployment`.

Without HTTP and without Ray. The file is drawn and encoded first, which takes a few minutes, or seconds for
`--minutes 1`.
"""

import asyncio
import tempfile
import threading
import time
from contextlib import aclosing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from benchmarks import cli, report
from configs.registry import read_entry
from deployments.video.deployment import Video
from deployments.video.entry import VideoEntry
from testbed.replicas import replica_class

WIDTH, HEIGHT, RATE = 1920, 1080, 25
STEP_S, MOST, SIZE = 1.0, 600, 224
POLL_S = 0.1


@dataclass(frozen=True)
class MemoryMeasurements:
    """Of one video.

    Attributes:
        size: of the file in bytes.
        frames: that were read out, in `seconds`.
        reader: the peak of the reader process's memory in bytes.
        growth: the peak of this process's memory above that before, in bytes.
    """

    size: int
    frames: int
    seconds: float
    reader: int
    growth: int


class Watch:
    """The peaks of the resident sets of this process and of its largest child while the context is entered."""

    def __init__(self) -> None:
        self._me, self._end = psutil.Process(), threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.before = self.own = self._me.memory_info().rss
        self.child = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._end.wait(POLL_S):
            self.own = max(self.own, self._me.memory_info().rss)
            for child in self._me.children():
                try:
                    self.child = max(self.child, child.memory_info().rss)
                except psutil.NoSuchProcess:  # it has ended since it was listed
                    continue


def draw(path: Path, minutes: float) -> None:
    """Write a video in H.264: a gradient with noise, shifted from frame to frame."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(1).integers(0, 24, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    planes = np.stack([rows * 200 // HEIGHT, columns * 200 // WIDTH, (rows + columns) % 200], axis=2).astype(np.uint8)
    picture = planes + noise
    with av.open(str(path), "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE)
        for number in range(round(minutes * 60 * RATE)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(picture, 4 * number, axis=1)), "rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


async def read(data: bytes) -> MemoryMeasurements:
    """Read the video's frames as /video does."""
    video = replica_class(Video)(read_entry("video", VideoEntry).threads, 601.0)
    frames, started = 0, time.perf_counter()
    with Watch() as watch:
        async with aclosing(video.frames(data, STEP_S, MOST, SIZE)) as batches:
            async for batch in batches:
                frames += len(batch.times_s)
    return MemoryMeasurements(len(data), frames, time.perf_counter() - started, watch.child, watch.own - watch.before)


def main() -> None:
    """Measure, print the section, and write it unless the video is shorter than ten minutes."""
    parser = cli.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="length of the video (default: 10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.mp4")
        draw(path, options.minutes)
        figures = asyncio.run(read(path.read_bytes()))
    section = (
        f"## The memory of a long video\n\n{report.machine('av', 'decord')}. "
        "`python -m benchmarks.sections.video_memory`\n\n"
        f"{options.minutes:g} minutes of {WIDTH} × {HEIGHT} at {RATE} frames/s, H.264, {figures.size / 1e6:.0f} MB; "
        f"{figures.frames} frames looked at in {figures.seconds:.0f} s. Peak resident set of the reader's process "
        f"{figures.reader / 1e6:.0f} MB; the replica, which holds the file and hands the frames on, grew by "
        f"{figures.growth / 1e6:.0f} MB."
    )
    print(section)
    if options.minutes >= 10:
        report.update_section("video-memory", section)


if __name__ == "__main__":
    main()
