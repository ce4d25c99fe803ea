"""Pictures of every format: are they the same to CLIP as plain PNGs, and is a JPEG decoded as fast as before?

A thousand pictures (`testbed.picture_set`) are decoded and embedded beside plain PNGs of the pixels that they stand
for, by a ViT-B/32 of full size with random weights. JPEGs are decoded by this checkout and by another one, each in a
process of its own; the two take turns. About five minutes on 2 cores.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from benchmarks import cli, report
from benchmarks.sections.video import SIZE, serve
from configs.project import PROJECT
from deployments.models.clip.model import ClipModel
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted
from deployments.pictures.pixels import Pixels
from deployments.pictures.refusals import PictureRefused
from testbed.checkpoints import HF_HOME, make_clip
from testbed.colours import old_srgb_profile, saved
from testbed.paths import SAMPLES
from testbed.picture_set import PAIRS, Made, pictures

MOST_PIXELS, BATCH = 150_000_000, 32
LEAST_COSINE, LEAST_RATIO = 0.999, 0.97
# A file's name; the options with which it is saved; the shorter side that is asked for, or 0 for every pixel.
JPEGS = {
    "without a profile, 12 megapixels": ((4000, 3000), False, 0),
    "without a profile, for CLIP": ((4000, 3000), False, SIZE),
    "without a profile, 0.3 megapixels": ((640, 480), False, 0),
    "sRGB, 12 megapixels": ((4000, 3000), True, 0),
    "sRGB, for CLIP": ((4000, 3000), True, SIZE),
    "sRGB, 0.3 megapixels": ((640, 480), True, 0),
}
# Run in each checkout: the seconds of each decode, of which the first is left out.
TIMED = """
import json, sys, time
from deployments.pictures.decoding import decode_picture
seconds = []
for path, side, count in json.loads(sys.argv[1]):
    data = open(path, "rb").read()
    for turn in range(count + 1):
        started = time.thread_time()
        decode_picture(data, 150_000_000, side or None)
        if turn:
            seconds.append(time.thread_time() - started)
print(json.dumps(seconds))
"""


@dataclass
class Seen:
    """What became of the pictures of one format."""

    cosines: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    other_sizes: list[str] = field(default_factory=list)


def main() -> None:
    """Measure, print the section, and write it if there is another checkout to compare with."""
    parser = cli.parser(__doc__, rounds=15)
    before_help = "a checkout of an earlier commit to decode JPEGs with; without it RESULTS.md is not changed"
    parser.add_argument("--before", type=Path, help=before_help)
    parser.add_argument("--commit", default="an earlier commit", help="how the earlier commit is named in the section")
    options = parser.parse_args()
    seen = embed(serve(make_clip(HF_HOME)))
    ratios = decoding_ratios(options.before, options.rounds) if options.before else {}
    section = render(options, seen, ratios)
    print(section)
    if options.before:
        report.update_section("pictures", section)


def embed(clip: ClipModel) -> dict[str, Seen]:
    """Every picture of the set beside its plain PNG, by format."""
    seen: dict[str, Seen] = defaultdict(Seen)
    waiting: list[tuple[str, Pixels, Pixels]] = []
    for one in pictures():
        kind = one.name.split()[0]
        try:
            found = decode_picture(one.data, MOST_PIXELS, SIZE)
        except PictureRefused as refused:
            seen[kind].refused.append(f"{one.name}: {refused}")
            continue
        if found.size != one.seen.size:
            seen[kind].other_sizes.append(one.name)
        waiting.append((kind, Fitted(SIZE).of(found.image), plain(one)))
        if len(waiting) == BATCH:
            compare(clip, waiting, seen)
            waiting = []
    compare(clip, waiting, seen)
    return seen


def plain(one: Made) -> Pixels:
    """CLIP's input of the plain PNG."""
    return Fitted(SIZE).of(decode_picture(saved(one.seen, "PNG"), MOST_PIXELS, SIZE).image)


def compare(clip: ClipModel, waiting: list[tuple[str, Pixels, Pixels]], seen: dict[str, Seen]) -> None:
    """Add the cosines of a batch. Pictures with the very same input are not embedded."""
    others = [one for one in waiting if not (one[1] == one[2]).all()]
    for kind in (one[0] for one in waiting if (one[1] == one[2]).all()):
        seen[kind].cosines.append(1.0)
    if others:
        vectors = clip.encode_images([one[1] for one in others]) * clip.encode_images([one[2] for one in others])
        for (kind, _, _), cosine in zip(others, vectors.sum(axis=1).tolist(), strict=True):
            seen[kind].cosines.append(cosine)


def decoding_ratios(before: Path, rounds: int) -> dict[str, tuple[float, float, float]]:
    """For each kind of JPEG the least milliseconds before and now, of all rounds, and the ratio of the speeds."""
    folder = PROJECT / "data" / "benchmark-jpegs"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = []
    for number, (size, profiled, side) in enumerate(JPEGS.values()):
        photo = Image.open(SAMPLES / "china.jpg").convert("RGB").resize(size)
        path = folder / f"{number}.jpg"
        options = {"icc_profile": old_srgb_profile()} if profiled else {}
        path.write_bytes(saved(photo, "JPEG", quality=90, subsampling=2, **options))
        tasks.append((str(path), side, 3 if size[0] > 1000 else 60))
    times: dict[Path, list[list[float]]] = {before: [], PROJECT: []}
    for number in range(rounds):
        print(f"Round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
        for checkout in (before, PROJECT) if number % 2 else (PROJECT, before):
            times[checkout].append(timed(checkout, tasks))
    least = {checkout: [min(turns) for turns in zip(*seconds, strict=True)] for checkout, seconds in times.items()}
    pairs = zip(JPEGS, least[before], least[PROJECT], strict=True)
    return {name: (1000 * earlier, 1000 * now, earlier / now) for name, earlier, now in pairs}


def timed(checkout: Path, tasks: list[tuple[str, int, int]]) -> list[float]:
    """The least CPU seconds of each task in a process of this checkout."""
    command = [sys.executable, "-c", TIMED, json.dumps(tasks)]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    seconds = json.loads(subprocess.check_output(command, cwd=checkout, env=environment))
    counts = [count for _, _, count in tasks]
    return [min(seconds[sum(counts[:i]) : sum(counts[: i + 1])]) for i in range(len(counts))]


def render(options: argparse.Namespace, seen: dict[str, Seen], ratios: dict[str, tuple[float, float, float]]) -> str:
    """The section in Markdown."""
    total = sum(len(one.cosines) + len(one.refused) for one in seen.values())
    least = min(cosine for one in seen.values() for cosine in one.cosines)
    lines = [
        "## Pictures of every format",
        "",
        f"{report.machine('torch', 'pillow', 'pillow-heif', 'pillow-jxl-plugin')}. "
        f"`python -m benchmarks.sections.pictures --before CHECKOUT --commit {options.commit} "
        f"--rounds {options.rounds}`",
        "",
        f"{total} pictures of {len(seen)} formats in {len(PAIRS)} pairs of a format and a mode, beside plain PNGs of "
        "the pixels that they stand for; CLIP ViT-B/32 with random weights. JPEG, HEIC and AVIF are of high quality.",
        "",
        "| format | pictures | refused | other sizes | same input | least cosine |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, one in seen.items():
        same = sum(cosine == 1.0 for cosine in one.cosines)
        figures = (len(one.cosines) + len(one.refused), len(one.refused), len(one.other_sizes), same)
        lines.append(f"| {kind} | {' | '.join(map(str, figures))} | {min(one.cosines, default=0):.5f} |")
    if ratios:
        lines += [
            "",
            f"CPU milliseconds to decode a JPEG, with {options.commit} and now, in turns; the least of all rounds:",
            "",
        ]
        lines += ["| JPEG | before | now | speed |", "|---|--:|--:|--:|"]
        lines += [f"| {name} | {a:.1f} | {b:.1f} | {ratio:.3f} |" for name, (a, b, ratio) in ratios.items()]
    lines += ["", "| target | | measured | |", "|---|--:|--:|---|"]
    lines.append(report.Target("least cosine", least, LEAST_COSINE).row())
    if ratios:
        worst = min(ratio for _, _, ratio in ratios.values())
        lines.append(report.Target("speed of decoding a JPEG, worst of the table", worst, LEAST_RATIO).row())
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
