"""A video through CLIP of full size, compared with the way in which a plain server reads one.

Plain: OpenCV seeks to each second, and each frame is a forward pass of open_clip's model. Ours: the reader of
`deployments.video.deployment` and batches of `deployments.models.clip.model`, without HTTP and without Ray. Both have
the same random weights in the published shape. About a minute on 2 cores.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks import cli, report
from benchmarks.rivals.clip import THREADS, OpenClip
from configs.registry import read_entry
from deployments.machine.devices import select
from deployments.models.clip.model import ClipModel
from deployments.models.clip.weights import ClipWeights
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import ImageSpec, fit
from deployments.video.deployment import Video
from deployments.video.entry import VideoEntry
from testbed.checkpoints import HF_HOME, make_clip
from testbed.replicas import replica_class

STEP_S, MOST, SIZE = 1.0, 600, 224
MAX_SECONDS = 600.0
# CLIP's own normalisation, as open_clip's transform does it.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TARGET = 2.0


@dataclass(frozen=True)
class Run:
    """Seconds for one video: in total, of waiting for frames, and in CLIP."""

    total_s: float
    decode_s: float
    clip_s: float
    frames: int


def main() -> None:
    """Measure, print the section, and write it unless --seconds makes it a trial."""
    parser = cli.parser(__doc__)
    parser.add_argument("video", type=Path, help="the file to read")
    parser.add_argument("--rounds", type=int, default=3, help="times each is measured; medians count (default: 3)")
    parser.add_argument("--seconds", type=int, default=0, help="read only so much of it, as a trial")
    options = parser.parse_args()
    weights = make_clip(HF_HOME)
    clip, served = OpenClip(weights), serve(weights)
    most = options.seconds or MOST
    clip.embed_image(torch.zeros(16, 3, SIZE, SIZE))
    plain, ours = [], []
    for number in range(1, options.rounds + 1):
        print(f"Round {number} of {options.rounds} ...", file=sys.stderr, flush=True)
        plain.append(read_plain(clip, options.video, most))
        ours.append(asyncio.run(read_ours(served, options.video.read_bytes(), most)))
    section = render(options, plain, ours)
    print(section)
    if not options.seconds:
        report.update_section("video", section)


def serve(weights: Path) -> ClipModel:
    """The model as a replica of CLIP loads it."""
    spec = ImageSpec(SIZE, MEAN, STD)
    chosen = ClipWeights(
        id="random/ViT-B-32",
        source="hub",
        architecture=f"local-dir:{weights.parent}",
        repository=None,
        image=spec,
        dimensions=512,
    )
    model = ClipModel(chosen, select({"cpu": "float32"}, THREADS, 0.0))
    model.encode_images([np.zeros((SIZE, SIZE, 3), np.uint8)] * 16)
    return model


def read_plain(clip: OpenClip, path: Path, most: int) -> Run:
    """The obvious way: a seek and a forward pass for each second."""
    decoding = computing = 0.0
    frames = 0
    started = time.perf_counter()
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:  # as an upload arrives
        file.write(path.read_bytes())
        file.flush()
        video = cv2.VideoCapture(file.name)
        while frames < most:
            before = time.perf_counter()
            video.set(cv2.CAP_PROP_POS_MSEC, frames * STEP_S * 1000)
            there, pixels = video.read()
            if not there:
                break
            image = normalised(fit(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)), SIZE)[None])
            between = time.perf_counter()
            clip.embed_image(image)
            decoding, computing = decoding + between - before, computing + time.perf_counter() - between
            frames += 1
        video.release()
    return Run(time.perf_counter() - started, decoding, computing, frames)


async def read_ours(clip: ClipModel, data: bytes, most: int) -> Run:
    """The deployment's batches of frames; its reader works ahead while CLIP computes."""
    computing, frames = 0.0, 0
    started = time.perf_counter()
    video = replica_class(Video)(read_entry("video", VideoEntry).threads, MAX_SECONDS)
    async with aclosing(video.frames(data, STEP_S, MOST, SIZE)) as batches:
        async for batch in batches:
            before = time.perf_counter()
            pixels = batch.pixels[: most - frames]
            await asyncio.to_thread(clip.encode_images, list(pixels))
            computing += time.perf_counter() - before
            frames += len(pixels)
            if frames >= most:
                break
    total = time.perf_counter() - started
    return Run(total, total - computing, computing, frames)


def normalised(pixels: Pixels) -> torch.Tensor:
    """Pixels (n, size, size, 3) uint8 as CLIP takes them: (n, 3, size, size), normalised."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 255 - mean) / std


def render(options: argparse.Namespace, plain: list[Run], ours: list[Run]) -> str:
    """The section in Markdown."""
    ways = {"plain: OpenCV, a seek and a pass a frame": plain, "Panoptes: reader and batches": ours}
    totals = {way: statistics.median(run.total_s for run in runs) for way, runs in ways.items()}
    slow, fast = totals.values()
    ratio = report.Target("plain ÷ Panoptes, seconds", slow / fast, TARGET)
    lines = [
        "## Video",
        "",
        f"{report.machine('torch', 'av', 'opencv-python-headless')}. "
        f"`python -m benchmarks.sections.video {options.video.name} --rounds {options.rounds}`",
        "",
        f"{options.video.name}, a frame each {STEP_S:g} s, CLIP ViT-B/32 with random weights, {THREADS} threads; "
        "medians of the rounds. Decoding is the time in which CLIP waited for frames.",
        "",
        "| way | frames | seconds | decoding | CLIP |",
        "|---|--:|--:|--:|--:|",
    ]
    for way, runs in ways.items():
        decoding = statistics.median(run.decode_s / run.total_s for run in runs)
        computing = statistics.median(run.clip_s / run.total_s for run in runs)
        lines.append(f"| {way} | {runs[0].frames} | {totals[way]:.2f} | {decoding:.0%} | {computing:.0%} |")
    return "\n".join([*lines, "", "| target | | measured | |", "|---|--:|--:|---|", ratio.row()])


if __name__ == "__main__":
    main()
