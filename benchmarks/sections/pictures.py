"""Pictures of every format: are they the same to CLIP as plain PNGs, in which colours, and at what speed?

A thousand pictures (`testbed.pictures.thousand`) are decoded and embedded beside plain PNGs of the pixels that they
stand for, by a ViT-B/32 of full size with random weights. JPEGs with colour profiles are compared with independent
arithmetic, by the bundled CLIP. JPEGs are decoded by this checkout and by another one, each in a process of its own;
the two take turns. About two minutes on 2 cores.
"""

import argparse
import io
import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import cli, report
from benchmarks.rivals.clip import THREADS
from benchmarks.sections.video import SIZE, serve
from configs.project import PROJECT
from configs.registry import read_entry
from deployments.machine.devices import select
from deployments.models.clip.model import ClipModel
from deployments.models.clip.settings import ClipEntry
from deployments.models.clip.weights import choose_clip
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from deployments.pictures.refusals import PictureRefused
from testbed.checkpoints import HF_HOME, make_clip
from testbed.paths import SAMPLES
from testbed.pictures.colours import SPACES, grey_profile, old_srgb_profile, press_profile, printed, saved, srgb_values
from testbed.pictures.thousand import PAIRS, Made, pictures

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


@dataclass(frozen=True)
class Colours:
    """The mean error of 255, and the cosine to the picture in its true colours, without the profile and with it."""

    errors: tuple[float, float]
    cosines: tuple[float, float]


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
    colours = colour_errors()
    seen = embed(serve(make_clip(HF_HOME)))
    ratios = decoding_ratios(options.before, options.rounds) if options.before else {}
    section = render(options, seen, colours, ratios)
    print(section)
    if options.before:
        report.update_section("pictures", section)


def colour_errors() -> dict[str, Colours]:
    """A sample photo as JPEGs with profiles, by the profile."""
    photo = Image.open(SAMPLES / "china.jpg").convert("RGB")
    pixels, grey = np.asarray(photo), photo.convert("L")
    black = (255 - pixels).min(axis=2, keepdims=True) // 2
    inks = np.concatenate([255 - pixels - black, black], axis=2)
    files = {name: (photo, space.profile, space.in_srgb(pixels)) for name, space in SPACES.items()}
    files["CMYK of a press"] = (Image.fromarray(inks, "CMYK"), press_profile(), 255 * srgb_values(printed(inks / 255)))
    files["grey, linear"] = (grey, grey_profile(1.0), 255 * srgb_values(np.asarray(grey.convert("RGB")) / 255))
    entry = read_entry("clip", ClipEntry)
    weights = choose_clip(entry, "openai/clip-vit-base-patch32", "bundled")
    clip = ClipModel(weights, select(entry.dtype, THREADS, 0))
    found = {}
    for name, (image, profile, true) in files.items():
        data = saved(image, "JPEG", quality=95, icc_profile=profile)
        without = Image.open(io.BytesIO(data)).convert("RGB")
        shown = [Image.fromarray(np.round(true).astype(np.uint8)), without, decode_picture(data, MOST_PIXELS).image]
        vectors = clip.encode_images([fit(one, weights.image.size) for one in shown])
        before, now = (float(np.abs(np.asarray(one, float) - true).mean()) for one in shown[1:])
        found[name] = Colours((before, now), (float(vectors[1] @ vectors[0]), float(vectors[2] @ vectors[0])))
    return found


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


def render(
    options: argparse.Namespace,
    seen: dict[str, Seen],
    colours: dict[str, Colours],
    ratios: dict[str, tuple[float, float, float]],
) -> str:
    """The section in Markdown."""
    total = sum(len(one.cosines) + len(one.refused) for one in seen.values())
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
        *_formats(seen),
        "",
        "A photo as a JPEG of quality 95 with a profile, beside its true colours by independent arithmetic, and to the "
        "bundled CLIP:",
        "",
        *_colours(colours),
    ]
    if ratios:
        told = f"CPU milliseconds to decode a JPEG, with {options.commit} and now, in turns; the least of all rounds:"
        lines += ["", told, "", "| JPEG | before | now | speed |", "|---|--:|--:|--:|"]
        lines += [f"| {name} | {a:.1f} | {b:.1f} | {ratio:.3f} |" for name, (a, b, ratio) in ratios.items()]
    least = min(cosine for one in seen.values() for cosine in one.cosines)
    worst = min((ratio for _, _, ratio in ratios.values()), default=math.nan)
    speed = report.Target("speed of decoding a JPEG, worst of the table", worst, LEAST_RATIO)
    lines += ["", "| target | | measured | |", "|---|--:|--:|---|"]
    return "\n".join([*lines, report.Target("least cosine", least, LEAST_COSINE).row(), speed.row()])


def _formats(seen: dict[str, Seen]) -> list[str]:
    lines = [
        "| format | pictures | refused | other sizes | same input | least cosine |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind, one in seen.items():
        same = sum(cosine == 1.0 for cosine in one.cosines)
        figures = (len(one.cosines) + len(one.refused), len(one.refused), len(one.other_sizes), same)
        lines.append(f"| {kind} | {' | '.join(map(str, figures))} | {min(one.cosines, default=0):.5f} |")
    return lines


def _colours(colours: dict[str, Colours]) -> list[str]:
    lines = [
        "| profile | mean error of 255 without it | with it | cosine without it | with it |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, one in colours.items():
        figures = [f"{error:.1f}" for error in one.errors] + [f"{cosine:.4f}" for cosine in one.cosines]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return lines


if __name__ == "__main__":
    cli.run(main)
