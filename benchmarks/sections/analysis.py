"""/v1/analyze with models of full size, compared with a plain server and with its slowest analyser alone.

Random weights in the published shapes: CLIP ViT-B/32, two NIMA Inception-ResNet-v2, a BRISQUE SVM. Part of
`make bench`; about six minutes.
"""

import argparse
import os
import statistics
import sys

from benchmarks import cli, report
from benchmarks.rivals import servers
from testbed import load, photos
from testbed.application import Application, only
from testbed.checkpoints import HF_HOME, OFFLINE, TORCH_HOME, make_clip, make_quality
from testbed.processes import free_port

CLIENTS = (1, 4, 16)
ASKED = "blur,quality,embedding"
FOUR = ("blur", "quality", "emotion", "embedding")
WARM_UP_SECONDS = 4.0


def main() -> None:
    """Measure, print the section and write it to RESULTS.md."""
    parser = cli.parser(__doc__, rounds=2, seconds=15)
    options = parser.parse_args()
    weights = make_clip(HF_HOME)
    make_quality(TORCH_HOME)
    env = only("clip", "blur", "quality", "emotion") | OFFLINE | {"WEIGHTS": "auto"}
    plain: dict[int, list[load.Load]] = {}
    ours: dict[int, list[load.Load]] = {}
    alone: dict[str, list[load.Load]] = {}
    spent: dict[str, float] = {}
    for number in range(1, options.rounds + 1):
        print(f"Round {number} of {options.rounds} ...", file=sys.stderr, flush=True)
        with servers.plain_analysis(weights, TORCH_HOME) as url:
            _measure_all(url, options.seconds, plain)
        with Application(free_port(), env) as panoptes:
            _measure_all(panoptes.url, options.seconds, ours, spent, panoptes)
            for analyzers in (*FOUR, ",".join(FOUR)):
                alone.setdefault(analyzers, []).append(_measure(panoptes.url, 1, options.seconds / 2, analyzers))
    section = _render(options, plain, ours, alone, spent)
    print(section)
    report.update_section("analysis", section)


def _measure(url: str, clients: int, seconds: float, analyzers: str = ASKED) -> load.Load:
    return load.measure(f"{url}/v1/analyze", clients, seconds, analyzers)


def _measure_all(
    url: str,
    seconds: float,
    into: dict[int, list[load.Load]],
    spent: dict[str, float] | None = None,
    panoptes: Application | None = None,
) -> None:
    """Measure with each number of CLIENTS.

    Args:
        into: takes the loads by number of clients.
        spent: takes the CPU seconds for an image by deployment of `panoptes`, at the highest number of clients.
    """
    _measure(url, 4, WARM_UP_SECONDS)
    for clients in CLIENTS:
        before = panoptes.cpu_seconds() if panoptes else {}
        measured = _measure(url, clients, seconds)
        into.setdefault(clients, []).append(measured)
        if panoptes and spent is not None and clients == max(CLIENTS):
            for kind, total in panoptes.cpu_seconds().items():
                spent[kind] = (total - before.get(kind, 0)) / measured.answered


def _render(
    options: argparse.Namespace,
    plain: dict[int, list[load.Load]],
    ours: dict[int, list[load.Load]],
    alone: dict[str, list[load.Load]],
    spent: dict[str, float],
) -> str:
    cores = len(os.sched_getaffinity(0))
    lines = [
        "## Photo analysis over HTTP",
        "",
        f"{report.machine('torch', 'pyiqa', 'ray')}. "
        f"`python -m benchmarks.sections.analysis --rounds {options.rounds} --seconds {options.seconds:g}`",
        "",
        f"`/v1/analyze` with {ASKED}, models of full size with random weights; {photos.describe(photos.load())}. "
        "Plain: one FastAPI process that runs the analysers one after the other. Medians of the rounds.",
        "",
        "| clients | plain images/s | Panoptes images/s | ratio | plain p50 ms | Panoptes p50 ms |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for clients in CLIENTS:
        theirs, mine = _throughput(plain[clients]), _throughput(ours[clients])
        lines.append(
            f"| {clients} | {theirs:.2f} | {mine:.2f} | {mine / theirs:.2f} | {_p50(plain[clients]):.0f} "
            f"| {_p50(ours[clients]):.0f} |"
        )
    each = {name: _p50(alone[name]) for name in FOUR}
    together, total = _p50(alone[",".join(FOUR)]), sum(each.values())
    slowest = max(each, key=lambda name: each[name])
    lines += [
        "",
        "Latency at 1 client, p50: " + ", ".join(f"{name} alone {ms:.0f} ms" for name, ms in each.items())
        + f"; all four {together:.0f} ms = {together / each[slowest]:.2f} × the slowest ({slowest}), "
        f"{together / total:.2f} × their sum. This machine has {cores} cores, and {slowest} alone uses them all: with "
        "free cores the target is 1.25 × the slowest, here the sum of the CPU work bounds it.",
        "",
        f"CPU milliseconds an image at {max(CLIENTS)} clients, by deployment: {report.spent(spent)}.",
    ]  # fmt: skip
    return "\n".join(lines)


def _throughput(measured: list[load.Load]) -> float:
    return statistics.median(one.throughput for one in measured)


def _p50(measured: list[load.Load]) -> float:
    return statistics.median(one.p50 for one in measured) * 1000


if __name__ == "__main__":
    cli.run(main)
