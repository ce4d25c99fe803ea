"""The analysis of a folder end to end, compared with a loop in one process without a server.

    python -m benchmarks.sections.analyze

Drawn scenes as small JPEGs, CLIP embeddings only: with the bundled weights, and with random ones of ViT-B/32's full
size. The loop runs open_clip's own model: it reads and decodes 32 files and computes them as one batch; a second loop
decodes with THREADS threads. Loops and job take turns. About eight minutes on 2 cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cli, report
from benchmarks.sections.run import clip_environment
from configs.project import BUNDLED, PROJECT
from testbed.application import Application, only
from testbed.checkpoints import HF_HOME, make_clip
from testbed.processes import children_cpu_seconds, free_port
from training.clip.evaluation import fresh_scenes

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 32
DRAWN = 500  # scenes, each copied as often as the number of files requires
TARGET = 0.85
WEIGHTS = {"bundled": "bundled", "full": "ViT-B/32, random"}


@dataclass
class AnalyzeMeasurements:
    """Of one kind of weights. Each list has one entry for each round, in images/s.

    Attributes:
        images: number of images.
        loops: of both loops, by the way they decode.
        job: of the job, as its manifest has it.
        command: of the whole command.
        spent: CPU seconds for an image by process, in the last round.
    """

    images: int
    loops: dict[str, list[float]] = field(default_factory=dict)
    job: list[float] = field(default_factory=list)
    command: list[float] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)

    def ratio(self, loop: str) -> float:
        """The job's throughput divided by a loop's: medians of the rounds."""
        return statistics.median(self.job) / statistics.median(self.loops[loop])


def main() -> None:
    """Measure, print the section and write it when it is complete."""
    parser = cli.parser(__doc__, rounds=2)
    parser.add_argument("--bundled", type=int, default=5000, metavar="N", help="images for the bundled weights")
    parser.add_argument("--full", type=int, default=1000, metavar="N", help="images for the weights of full size")
    parser.add_argument("--raw", type=int, default=320, metavar="N", help="images for each loop")
    only_help = "only these weights; RESULTS.md is not changed"
    parser.add_argument("--only", nargs="+", choices=WEIGHTS, default=list(WEIGHTS), help=only_help)
    parser.add_argument("--loop", nargs=2, metavar=("WEIGHTS", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        weights, folder = options.loop
        print(json.dumps(_loops(Path(weights), Path(folder), options.raw)))
        return
    figures = {name: _measure(name, options) for name in options.only}
    section = _render(options, figures)
    print(section)
    if set(options.only) == WEIGHTS.keys():
        report.update_section("analyze", section)


def _measure(name: str, options: argparse.Namespace) -> AnalyzeMeasurements:
    figures = AnalyzeMeasurements(getattr(options, name))
    env = only("clip") | {"WEIGHTS": "bundled"}
    weights = BUNDLED / "clip-scenes-v1" / "open_clip_model.safetensors"
    if name == "full":
        weights = make_clip(HF_HOME)
        env = clip_environment()
    with tempfile.TemporaryDirectory() as folder, Application(free_port(), env) as panoptes:
        photos = Path(folder, "photos")
        _draw(photos, figures.images)
        _job(panoptes, photos, Path(folder, "warm-up"), "--part-size=50", most=100)
        for number in range(1, options.rounds + 1):
            print(f"{name}: round {number} of {options.rounds} ...", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "benchmarks.sections.analyze", f"--raw={options.raw}"]
            command += ["--loop", str(weights), str(photos)]
            done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
            for way, throughput in json.loads(done.stdout).items():
                figures.loops.setdefault(way, []).append(throughput)
            _take(figures, panoptes, photos, Path(folder, f"out{number}"))
    return figures


def _take(figures: AnalyzeMeasurements, panoptes: Application, photos: Path, target: Path) -> None:
    before, mine, started = panoptes.cpu_seconds(), children_cpu_seconds(), time.perf_counter()
    _job(panoptes, photos, target)
    figures.command.append(figures.images / (time.perf_counter() - started))
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["answered"] == {"embedding": figures.images}
    figures.job.append(figures.images / manifest["seconds"])
    after = panoptes.cpu_seconds()
    spent = {kind: after[kind] - before.get(kind, 0) for kind in after} | {"job": children_cpu_seconds() - mine}
    figures.spent = {kind: seconds / figures.images for kind, seconds in spent.items()}


def _job(panoptes: Application, photos: Path, target: Path, *more: str, most: int | None = None) -> None:
    if most is not None:
        few = target.with_name(f"{target.name}-photos")
        few.mkdir()
        for path in sorted(photos.iterdir())[:most]:
            (few / path.name).hardlink_to(path)
        photos = few
    command = [sys.executable, "-m", "jobs.analyze", f"--input={photos}", f"--output={target}", "--analyses=embedding"]
    subprocess.run([*command, *more], cwd=PROJECT, env=os.environ | panoptes.joining, check=True, stdout=sys.stderr)


def _draw(folder: Path, count: int) -> None:
    """Write `count` JPEGs of drawn scenes."""
    folder.mkdir()
    for number, scene in enumerate(fresh_scenes(min(DRAWN, count), seed=7)):
        first = folder / f"{number:03d}-000.jpg"
        scene.image.save(first, quality=90)
        for copy in range(1, (count - number + DRAWN - 1) // DRAWN):
            (folder / f"{number:03d}-{copy:03d}.jpg").write_bytes(first.read_bytes())


def _loops(weights: Path, folder: Path, count: int) -> dict[str, float]:
    """Images/s of both loops, whose batches take turns."""
    import torch

    from benchmarks.rivals.clip import THREADS, OpenClip

    clip = OpenClip(weights)
    found = sorted(folder.iterdir())
    paths = found[:: max(1, len(found) // count)][:count]  # evenly spread, so that all scenes are represented
    with ThreadPoolExecutor(THREADS) as pool:

        def decode(path: Path) -> torch.Tensor:
            return clip.decode(path.read_bytes())

        ways: dict[str, Callable[[list[Path]], list[torch.Tensor]]] = {
            "plain": lambda batch: [decode(path) for path in batch],
            "threaded": lambda batch: list(pool.map(decode, batch)),
        }
        for decoder in ways.values():
            clip.embed_image(torch.stack(decoder(paths[:BATCH])))  # warm-up
        spent = dict.fromkeys(ways, 0.0)
        for start in range(0, len(paths), BATCH):
            for name, decoder in ways.items():
                started = time.perf_counter()
                clip.embed_image(torch.stack(decoder(paths[start : start + BATCH])))
                spent[name] += time.perf_counter() - started
    return {name: len(paths) / seconds for name, seconds in spent.items()}


def _render(options: argparse.Namespace, figures: dict[str, AnalyzeMeasurements]) -> str:
    lines = [
        "## Analysis of a folder",
        "",
        f"{report.machine('torch', 'open_clip_torch', 'ray', 'pyarrow')}. "
        f"`python -m benchmarks.sections.analyze --rounds {options.rounds} --bundled {options.bundled} "
        f"--full {options.full}`",
        "",
        f"`python -m jobs.analyze --analyses embedding`, {DRAWN} drawn scenes as JPEGs of some 60 to 400 px on the "
        "shorter side, each several times. Loop: open_clip's own model in one process, reading and decoding "
        f"{BATCH} files and computing them as one batch; threaded: decoding on 2 threads. The job's time is from its "
        "first question to the written report, the command's from start to end with Python's imports. Medians of the "
        "rounds.",
        "",
        "| weights | images | loop images/s | threaded | job images/s | whole command | job ÷ loop | job ÷ threaded |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in figures.items():
        plain, threaded = (statistics.median(one.loops[way]) for way in ("plain", "threaded"))
        job, command = statistics.median(one.job), statistics.median(one.command)
        lines.append(
            f"| {WEIGHTS[name]} | {one.images:,} | {plain:.1f} | {threaded:.1f} | {job:.1f} | {command:.1f} | "
            f"{one.ratio('plain'):.2f} | {one.ratio('threaded'):.2f} |"
        )
    lines += ["", f"Target: job ÷ loop at least {TARGET}. CPU milliseconds an image:"]
    return "\n".join([*lines, *(f"- {WEIGHTS[name]}: {report.spent(one.spent, 1)}" for name, one in figures.items())])


if __name__ == "__main__":
    cli.run(main)
