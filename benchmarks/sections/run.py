"""CLIP over HTTP, compared with its raw limit and with other servers; part of `make bench`.

The same photos and the same weights (a ViT-B/32 of full size, random) go through

    raw       one process without a server: decode, preprocess, batches of 32
    plain     a FastAPI server as the earlier services were written
    litserve  LitServe, tuned
    panoptes  `serve run serve_config.yaml`, POST /classify
    haproxy   the same with RAY_SERVE_ENABLE_HA_PROXY=1

one after another, never two at a time; and then all of them again, because machines have slow minutes. About thirteen
minutes on 2 cores.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks import cli, report
from benchmarks.rivals import servers
from configs.project import PROJECT
from testbed import load, photos
from testbed.application import Application, only
from testbed.checkpoints import HF_HOME, OFFLINE, make_clip
from testbed.processes import fetch, free_port

CLIENTS = (1, 8, 32)
WARM_UP_CLIENTS, WARM_UP_SECONDS = 8, 3.0


def main() -> None:
    """Measure, print the section, and write it when it is complete."""
    options = _options()
    print("Preparing photos, weights and LitServe's environment ...", file=sys.stderr, flush=True)
    weights = make_clip(HF_HOME)
    if "litserve" in options.only:
        servers.install_litserve()
    figures = report.HttpMeasurements(
        photos=photos.describe(photos.load()), rounds=options.rounds, seconds=options.seconds
    )
    for number in range(1, options.rounds + 1):
        for name in options.only:
            print(f"Round {number} of {options.rounds}: {name} ...", file=sys.stderr, flush=True)
            SUBJECTS[name](figures, weights)
    section = report.render(figures)
    print(section)
    if set(options.only) == SUBJECTS.keys():
        report.update_section("clip", section)


def _options() -> argparse.Namespace:
    parser = cli.parser(__doc__, rounds=2, seconds=12)
    only_help = "only these; RESULTS.md is not changed"
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help=only_help)
    return parser.parse_args()


def _raw(figures: report.HttpMeasurements, weights: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.rivals.raw", f"--weights={weights}", f"--seconds={figures.seconds}"]
    done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
    for way, throughput in json.loads(done.stdout).items():
        figures.raw.setdefault(way, []).append(throughput)


def _plain(figures: report.HttpMeasurements, weights: Path) -> None:
    _other(figures, "plain", servers.plain(weights))


def _litserve(figures: report.HttpMeasurements, weights: Path) -> None:
    _other(figures, "litserve", servers.litserve(weights))


def _other(figures: report.HttpMeasurements, name: str, server: AbstractContextManager[str]) -> None:
    with server as url:
        load.measure(f"{url}/classify", WARM_UP_CLIENTS, WARM_UP_SECONDS)
        for clients in CLIENTS:
            figures.add(name, load.measure(f"{url}/classify", clients, figures.seconds))


def _panoptes(figures: report.HttpMeasurements, _: Path) -> None:
    _ours(figures, "panoptes", {})


def _panoptes_haproxy(figures: report.HttpMeasurements, _: Path) -> None:
    _ours(figures, "haproxy", {"RAY_SERVE_ENABLE_HA_PROXY": "1"})


def clip_environment() -> dict[str, str]:
    """The environment of an application that serves the CLIP of `make_clip(HF_HOME)` and nothing else."""
    return only("clip") | OFFLINE | {"WEIGHTS": "hub", "CLIP_MODEL_NAME": "openai/clip-vit-base-patch32"}


def _ours(figures: report.HttpMeasurements, name: str, serve_env: dict[str, str]) -> None:
    with Application(free_port(), clip_environment() | serve_env) as panoptes:
        url = f"{panoptes.url}/classify"
        load.measure(url, WARM_UP_CLIENTS, WARM_UP_SECONDS)
        for clients in CLIENTS:
            before = _served(panoptes)
            figures.add(name, load.measure(url, clients, figures.seconds))
            after = _served(panoptes)
            mean = (after["items"] - before["items"]) / (after["batches"] - before["batches"])
            figures.mean_batches.setdefault((name, clients), []).append(mean)
        if name == "panoptes":
            figures.ready_seconds.append(panoptes.ready_seconds)
            figures.memory_bytes.append(panoptes.memory_bytes())


def _served(panoptes: Application) -> dict[str, Any]:
    """What /v1/models reports of CLIP."""
    served: dict[str, Any] = json.loads(fetch(f"{panoptes.url}/v1/models"))["data"][0]
    return served


SUBJECTS: dict[str, Callable[[report.HttpMeasurements, Path], None]] = {
    "raw": _raw,
    "plain": _plain,
    "litserve": _litserve,
    "panoptes": _panoptes,
    "haproxy": _panoptes_haproxy,
}


if __name__ == "__main__":
    cli.run(main)
