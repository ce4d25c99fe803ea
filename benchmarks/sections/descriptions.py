"""/v1/tags and /v1/caption with models of full size, compared with a loop without a server.

Random weights in the published shapes: LeViT-384, and BLIP-base with 20 tokens a caption. The loop runs transformers'
own model: it decodes eight photos, prepares them with the processor and computes them as one batch. About five minutes.
"""

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import torch
import transformers
from PIL import Image

from benchmarks import cli, report
from testbed import load, photos
from testbed.application import Application, only
from testbed.checkpoints import BLIP, HF_HOME, LEVIT, OFFLINE, make_blip, make_levit, pretrained_folder
from testbed.processes import free_port

BATCH = 8
CLIENTS = (1, 8)
TOKENS = 20
TARGET = 0.85
ROUTES = {"tagger": "/v1/tags", "captioner": "/v1/caption"}
WARM_UP_SECONDS = 6.0

Compute = Callable[[Any], Any]


@dataclass
class DescriptionMeasurements:
    """Of one model.

    Attributes:
        raw: images/s of the loop in each round.
        served: the loads of each round by number of clients.
        spent: CPU seconds for an image by deployment, at the highest number of clients.
    """

    raw: list[float] = field(default_factory=list)
    served: dict[int, list[load.Load]] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)


class Loop:
    """The loop without a server: transformers' model and processor, as their documentation uses them."""

    def __init__(self, name: str) -> None:
        folder = pretrained_folder(HF_HOME, {"tagger": LEVIT, "captioner": BLIP}[name])
        library: Any = transformers
        if name == "tagger":
            model: Any = library.AutoModelForImageClassification.from_pretrained(folder).eval()
            self._compute: Compute = lambda inputs: model(**inputs).logits.softmax(dim=-1)
            self._processor: Any = library.AutoImageProcessor.from_pretrained(folder)
        else:
            model = library.BlipForConditionalGeneration.from_pretrained(folder).eval()
            self._compute = lambda inputs: model.generate(**inputs, max_new_tokens=TOKENS, num_beams=1)
            self._processor = library.AutoProcessor.from_pretrained(folder)
        self._stream = cycle([photo.data for photo in photos.load()])
        self._batch()

    def measure(self, seconds: float) -> float:
        """Images/s."""
        started, images = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            self._batch()
            images += BATCH
        return images / (time.perf_counter() - started)

    def _batch(self) -> None:
        pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in islice(self._stream, BATCH)]
        with torch.inference_mode():
            self._compute(self._processor(images=pictures, return_tensors="pt"))


def main() -> None:
    """Measure, print the section and write it to RESULTS.md."""
    parser = cli.parser(__doc__, rounds=2, seconds=20)
    options = parser.parse_args()
    make_levit(HF_HOME)
    make_blip(HF_HOME)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    figures = {name: _measure(name, options) for name in ROUTES}
    section = _render(options, figures)
    print(section)
    report.update_section("descriptions", section)


def _measure(name: str, options: argparse.Namespace) -> DescriptionMeasurements:
    figures, loop = DescriptionMeasurements(), Loop(name)
    env = only(name) | OFFLINE | {"WEIGHTS": "hub", "CAPTION_MAX_TOKENS": str(TOKENS)}
    with Application(free_port(), env) as panoptes:
        url = panoptes.url + ROUTES[name]
        load.measure(url, max(CLIENTS), WARM_UP_SECONDS, "")
        for number in range(1, options.rounds + 1):
            print(f"{name}: round {number} of {options.rounds} ...", file=sys.stderr, flush=True)
            figures.raw.append(loop.measure(options.seconds))
            for clients in CLIENTS:
                before = panoptes.cpu_seconds()
                measured = load.measure(url, clients, options.seconds, "")
                figures.served.setdefault(clients, []).append(measured)
                after = panoptes.cpu_seconds()
                figures.spent = {kind: (after[kind] - before.get(kind, 0)) / measured.answered for kind in after}
    return figures


def _render(options: argparse.Namespace, figures: dict[str, DescriptionMeasurements]) -> str:
    lines = [
        "## Tags and captions over HTTP",
        "",
        f"{report.machine('torch', 'transformers', 'ray')}. "
        f"`python -m benchmarks.sections.descriptions --rounds {options.rounds} --seconds {options.seconds:g}`",
        "",
        f"LeViT-384, and BLIP-base with {TOKENS} tokens a caption, random weights; {photos.describe(photos.load())}. "
        f"Loop: transformers' own model in one process without a server, decoding, preparing and computing {BATCH} "
        "photos at a time. Medians of the rounds; only the measured model is served.",
        "",
        "| model | clients | loop images/s | Panoptes images/s | ratio | p50 ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, one in figures.items():
        raw = statistics.median(one.raw)
        for clients, loads in one.served.items():
            mine = statistics.median(each.throughput for each in loads)
            p50 = statistics.median(each.p50 for each in loads) * 1000
            lines.append(f"| {name} | {clients} | {raw:.2f} | {mine:.2f} | {mine / raw:.2f} | {p50:.0f} |")
    lines += ["", f"Target: {TARGET} at {max(CLIENTS)} clients. CPU milliseconds an image there, by deployment:"]
    return "\n".join([*lines, *(f"- {name}: {report.spent(one.spent)}" for name, one in figures.items())])


if __name__ == "__main__":
    cli.run(main)
