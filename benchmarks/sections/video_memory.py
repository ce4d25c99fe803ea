"""A long video: how much memory it takes, and whether each frame is that of its moment, in both passes.

Ten minutes of 1080p, whose frames show their numbers, through `deployments.video.deployment`, without HTTP and without
Ray. The file is drawn and encoded first, which takes a few minutes, or seconds for `--minutes 1`.
"""

import asyncio
import io
import random
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
from PIL import Image

from benchmarks import cli, report
from configs.registry import read_entry
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from deployments.video.deployment import Video
from deployments.video.entry import VideoEntry
from testbed.replicas import replica_class

WIDTH, HEIGHT, RATE = 1920, 1080, 25
STEP_S, MOST, SIZE = 1.0, 600, 224
POLL_S = 0.1
BITS, AGAIN = 16, 20  # bars of a number; frames that are read in the second pass


@dataclass(frozen=True)
class MemoryMeasurements:
    """Of one video.

    Attributes:
        size: of the file in bytes.
        frames: that were read out, in `seconds`.
        true: of them, those that show the number of their moment.
        again, true_again: the same of the second pass.
        reader: the peak of the reader process's memory in bytes.
        growth: the peak of this process's memory above that before, in bytes.
    """

    size: int
    frames: int
    true: int
    again: int
    true_again: int
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
    """Write a video in H.264: a gradient with noise, shifted from frame to frame, and the frame's number as bars."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(1).integers(0, 24, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    planes = np.stack([rows * 200 // HEIGHT, columns * 200 // WIDTH, (rows + columns) % 200], axis=2).astype(np.uint8)
    picture = planes + noise
    with av.open(str(path), "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, RATE)
        for number in range(round(minutes * 60 * RATE)):
            shown = np.roll(picture, 4 * number, axis=1)
            for bit, bar in enumerate(np.array_split(np.arange((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2), BITS)):
                shown[-HEIGHT // 4 :, bar] = 255 * (number >> bit & 1)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        output.mux(stream.encode())


def is_true(pixels: Pixels, time_s: float) -> bool:
    """Whether the middle of a frame, SIZE × SIZE, shows the number of this moment."""
    bars = np.array_split(pixels[-SIZE // 8 :].mean(axis=(0, 2)), BITS)
    return sum(1 << bit for bit, bar in enumerate(bars) if bar[4:-4].mean() > 128) == round(time_s * RATE)


async def read(data: bytes) -> MemoryMeasurements:
    """Read the video's frames as /video does, and some of them again."""
    video = replica_class(Video)(read_entry("video", VideoEntry).threads, 601.0)
    true, digests, started = 0, dict[float, int](), time.perf_counter()
    with Watch() as watch:
        async with aclosing(video.frames(data, STEP_S, MOST, SIZE)) as batches:
            async for batch in batches:
                digests |= zip(batch.times_s, batch.digests, strict=True)
                true += sum(map(is_true, batch.pixels, batch.times_s))
        seconds = time.perf_counter() - started
        again = sorted(random.Random(1).sample(list(digests), min(AGAIN, len(digests))))
        jpegs = await video.frame_jpegs(data, again, WIDTH, [digests[moment] for moment in again])
    pictures = [fit(Image.open(io.BytesIO(jpeg)), SIZE) for jpeg in jpegs]
    true_again = sum(map(is_true, pictures, again))
    return MemoryMeasurements(
        size=len(data),
        frames=len(digests),
        true=true,
        again=len(again),
        true_again=true_again,
        seconds=seconds,
        reader=watch.child,
        growth=watch.own - watch.before,
    )


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
        f"## A long video\n\n{report.machine('av')}. "
        "`python -m benchmarks.sections.video_memory`\n\n"
        f"{options.minutes:g} minutes of {WIDTH} × {HEIGHT} at {RATE} frames/s, H.264, {figures.size / 1e6:.0f} MB; "
        f"{figures.frames} frames looked at in {figures.seconds:.0f} s. {figures.true} of them show the number of "
        f"their moment, and so do {figures.true_again} of {figures.again} that were read again at random. "
        f"Peak resident set of the reader's process "
        f"{figures.reader / 1e6:.0f} MB; the replica, which holds the file and hands the frames on, grew by "
        f"{figures.growth / 1e6:.0f} MB."
    )
    print(section)
    if options.minutes >= 10:
        report.update_section("video-memory", section)


if __name__ == "__main__":
    main()
