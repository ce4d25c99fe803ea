"""The memory of each deployment's replica, with a model of full size, before and after a load.

    python -m benchmarks.sections.sizing

Random weights in the published shapes (`testbed/checkpoints.py`); the emotion network is the bundled one. The
deployments are loaded one after another. docs/operations.md takes its table from here. About five minutes for all.
"""

import argparse

from benchmarks import cli, report
from testbed import load, photos
from testbed.application import Application, only
from testbed.checkpoints import (
    HF_HOME,
    OFFLINE,
    TORCH_HOME,
    make_blip,
    make_clip,
    make_florence,
    make_levit,
    make_quality,
)
from testbed.processes import free_port, within

# The route that asks a deployment, and the analyser for /v1/analyze
ASKED = {
    "Clip": ("/v1/analyze", "embedding"),
    "Blur": ("/v1/analyze", "blur"),
    "Quality": ("/v1/analyze", "quality"),
    "Emotion": ("/v1/analyze", "emotion"),
    "Tagger": ("/v1/tags", ""),
    "Captioner": ("/v1/caption", ""),
    "Detector": ("/v1/objects", ""),
}
# Requests must not time out: a caption of full size takes a second or more, and 16 clients wait for theirs
PATIENCE_S = int(load.TIMEOUT)
LOADING_S = 120  # within which all models must be loaded
OBJECTS_TOKENS = 30  # of the detector's answer: about five objects
MOST_CLIENTS = {"Detector": 4}  # each of its pictures takes seconds on two cores


def main() -> None:
    """Start the deployments, load one after another, print their memory, and write it when it covers all of them."""
    parser = cli.parser(__doc__)
    parser.add_argument("--deployments", nargs="+", choices=ASKED, default=list(ASKED), help="(default: all)")
    parser.add_argument("--clients", type=int, default=16, help="of each load (default: 16)")
    parser.add_argument("--seconds", type=float, default=20, help="of each load (default: 20)")
    options = parser.parse_args()
    section = _render(options, *_measure(options))
    print(section)
    if set(options.deployments) == ASKED.keys():
        report.update_section("sizing", section)


def _measure(options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """By kind of process the bytes at rest and after the loads, and by deployment the images/s of its load."""
    for make in (make_clip, make_levit, make_blip, make_florence):
        make(HF_HOME)
    make_quality(TORCH_HOME)
    env = only(*options.deployments) | OFFLINE | {"WEIGHTS": "auto", "REQUEST_TIMEOUT_S": str(PATIENCE_S)}
    env["DETECTOR_MAX_TOKENS"] = str(OBJECTS_TOKENS)
    rates: dict[str, float] = {}
    with Application(free_port(), env) as panoptes:
        # /health does not wait for every model
        if not within(LOADING_S, lambda: panoptes.processes().keys() >= set(options.deployments)):
            raise RuntimeError(f"not loaded after {LOADING_S} s: {', '.join(panoptes.processes())}")
        at_rest = panoptes.memory_by_kind()
        for name in options.deployments:
            route, analyzers = ASKED[name]
            clients = min(options.clients, MOST_CLIENTS.get(name, options.clients))
            rates[name] = load.measure(panoptes.url + route, clients, options.seconds, analyzers).throughput
        return at_rest, panoptes.memory_by_kind(), rates


def _render(
    options: argparse.Namespace, at_rest: dict[str, float], loaded: dict[str, float], rates: dict[str, float]
) -> str:
    lines = [
        "## Memory by deployment",
        "",
        f"{report.machine('torch', 'ray')}. `python -m benchmarks.sections.sizing --clients {options.clients} "
        f"--seconds {options.seconds:g} --deployments {' '.join(options.deployments)}`",
        "",
        f"Proportional set size, all of them in one application; each is asked by {options.clients} clients (the "
        f"detector by at most {MOST_CLIENTS['Detector']}) for {options.seconds:g} s while the others rest. "
        f"{photos.describe(photos.load())}.",
        "",
        "| deployment | GB at rest | GB after the loads | images/s |",
        "|---|--:|--:|--:|",
    ]
    for kind in sorted(loaded, key=lambda one: -loaded[one]):
        rate = f"{rates[kind]:.2f}" if kind in rates else "–"
        lines.append(f"| {kind} | {at_rest.get(kind, 0) / 1e9:.2f} | {loaded[kind] / 1e9:.2f} | {rate} |")
    lines.append(f"| all | {sum(at_rest.values()) / 1e9:.2f} | {sum(loaded.values()) / 1e9:.2f} | – |")
    return "\n".join(lines)


if __name__ == "__main__":
    cli.run(main)
