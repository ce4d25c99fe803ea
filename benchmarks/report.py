"""Sections of RESULTS.md: the facts about a measurement, its table and its targets."""

import math
import os
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from configs.project import PROJECT
from testbed.load import Load

RESULTS = PROJECT / "benchmarks" / "RESULTS.md"
# The mean number of processes that ran or waited in the minute before; above the number of cores some had to wait
LOAD_BEFORE = os.getloadavg()[0]
TITLE = "# Results\n\nEach section is written by the benchmark that it names.\n"
LABELS = {"plain": "plain FastAPI", "litserve": "LitServe", "panoptes": "Panoptes", "haproxy": "Panoptes, HAProxy"}


@dataclass
class HttpMeasurements:
    """The measurements of CLIP over HTTP so far; each list has one entry for each round.

    Attributes:
        seconds: of each single measurement.
        raw: images/s of the loops without a server, by the way they decode.
        loads: by server and number of clients.
        mean_batches: images in a batch, by server and number of clients.
    """

    photos: str
    rounds: int
    seconds: float
    raw: dict[str, list[float]] = field(default_factory=dict)
    loads: dict[tuple[str, int], list[Load]] = field(default_factory=dict)
    mean_batches: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    ready_seconds: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)

    def add(self, server: str, load: Load) -> None:
        """Add one measurement of a server."""
        self.loads.setdefault((server, load.clients), []).append(load)

    def median(self, server: str, clients: int, value: Callable[[Load], float]) -> float:
        """The median of `value` over the rounds; not a number without a measurement."""
        return _median(value(load) for load in self.loads.get((server, clients), []))

    def throughput(self, server: str, clients: int) -> float:
        """Images/s: the median over the rounds."""
        return self.median(server, clients, lambda load: load.throughput)

    def mean_batch(self, server: str, clients: int) -> float:
        """Images in a batch: the median over the rounds; not a number where it is not known."""
        return _median(self.mean_batches.get((server, clients), []))


@dataclass(frozen=True)
class Target:
    """A figure and its target.

    Attributes:
        value: what was measured; not a number: it was not, and the target counts as not reached.
        at_most: whether `limit` is an upper bound and not a lower one.
    """

    what: str
    value: float
    limit: float
    at_most: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def row(self) -> str:
        """As a line of the table."""
        sign = "≤" if self.at_most else "≥"
        verdict = "not measured" if math.isnan(self.value) else "reached" if self.reached else "**not reached**"
        measured = "–" if math.isnan(self.value) else f"{self.value:.3g}{self.unit}"
        return f"| {self.what} | {sign} {self.limit:g}{self.unit} | {measured} | {verdict} |"


def targets(figures: HttpMeasurements, server: str) -> list[Target]:
    """The targets, each a quotient or a difference of medians in the table."""
    at_32 = figures.throughput(server, 32)
    late = figures.median(server, 1, _p50) - figures.median("litserve", 1, _p50)
    return [
        Target("throughput at 32 clients ÷ raw limit", at_32 / _median(figures.raw.get("plain", [])), 0.85),
        Target("throughput at 32 clients ÷ plain FastAPI", at_32 / figures.throughput("plain", 32), 5),
        Target("throughput at 32 clients ÷ LitServe", at_32 / figures.throughput("litserve", 32), 0.95),
        Target("p50 at 1 client − LitServe's", 1000 * late, 20, at_most=True, unit=" ms"),
        Target("mean batch at 32 clients", figures.mean_batch(server, 32), 8),
    ]


def render(figures: HttpMeasurements) -> str:
    """The whole section in Markdown."""
    return "\n".join([*_facts(figures), "", *_table(figures), "", *_targets(figures), "", *_notes(figures)])


def update_section(name: str, section: str, path: Path = RESULTS) -> None:
    """Replace a section of a file between its markers; without them, append both."""
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    block = f"{begin}\n{section}\n{end}"
    text = path.read_text() if path.exists() else TITLE
    if begin in text:
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, text, flags=re.DOTALL)
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    path.write_text(text)


def machine(*packages: str) -> str:
    """The date, the machine's cores and its load before the benchmark, and the versions of packages.

    E.g. `2026-11-21, 2 cores of AMD EPYC, load 0.3 before, torch 2.15.0`.
    """
    cores = f"{len(os.sched_getaffinity(0))} cores of {_cpu()}"
    versions = [f"{name} {version(name)}" for name in packages]
    return ", ".join([f"{datetime.now(UTC):%Y-%m-%d}", cores, f"load {LOAD_BEFORE:.1f} before", *versions])


def spent(cpu_s: Mapping[str, float], digits: int = 0) -> str:
    """CPU seconds by deployment as text in milliseconds, the highest first."""
    most_first = sorted(cpu_s.items(), key=lambda one: -one[1])
    return ", ".join(f"{kind} {seconds * 1000:.{digits}f}" for kind, seconds in most_first)


def _facts(figures: HttpMeasurements) -> list[str]:
    options = f"--rounds {figures.rounds} --seconds {figures.seconds:g}"
    return [
        "## CLIP over HTTP",
        "",
        f"{machine('torch', 'open_clip_torch', 'ray')}. "
        f"`python -m benchmarks.sections.run {options}`; `make bench` calls it with its defaults.",
        "",
        f"ViT-B/32 of full size with random weights, float32, the same for all; {figures.photos}, in the same order "
        "for all. Each client sends its next photo when the last is answered; everything runs on the same cores, the "
        f"clients included. {figures.rounds} rounds of {figures.seconds:g} s for each figure, in which the subjects "
        "take turns; the table shows medians over the rounds.",
    ]


def _table(figures: HttpMeasurements) -> list[str]:
    rows = ["| | clients | images/s | by round | p50 ms | p99 ms | mean batch |", "|---|--:|--:|--:|--:|--:|--:|"]
    raw_labels = {"plain": "raw limit, batches of 32", "threaded": "raw, decoding in 2 threads"}
    for way, rounds in figures.raw.items():
        rows.append(f"| {raw_labels[way]} | – | {_number(_median(rounds))} | {_by_round(rounds)} | – | – | 32 |")
    for server, clients in figures.loads:
        by_round = _by_round(load.throughput for load in figures.loads[server, clients])
        latencies = [1000 * figures.median(server, clients, value) for value in (_p50, _p99)]
        cells = [
            LABELS[server],
            str(clients),
            _number(figures.throughput(server, clients)),
            by_round,
            *(_number(latency, 0) for latency in latencies),
            _number(figures.mean_batch(server, clients)),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _targets(figures: HttpMeasurements) -> list[str]:
    lines: list[str] = []
    for server in ("panoptes", "haproxy"):
        if (server, 32) in figures.loads:
            rows = [target.row() for target in targets(figures, server)]
            lines += [f"| {LABELS[server]} | target | measured | |", "|---|--:|--:|---|", *rows, ""]
    return lines[:-1]


def _notes(figures: HttpMeasurements) -> list[str]:
    threaded = figures.throughput("panoptes", 32) / _median(figures.raw.get("threaded", []))
    lines = [
        "Raw limit: one process decodes a batch photo by photo with open_clip's own transform and runs it on 2 "
        "threads. Decoding on 2 threads is the harder comparison, because the servers also decode in "
        f"parallel: at 32 clients Panoptes reaches {_number(threaded, 2)} of it."
    ]
    lines += [
        "",
        "LitServe: one worker, batches of up to 32, decoding on 2 threads, the wait for a batch chosen for 1 client; "
        "none of the three settings tried was better at 32 (see `benchmarks/rivals/litserve/server.py`). Where rounds "
        "of one subject differ by more than the margin of a target, its verdict says little.",
    ]
    if figures.ready_seconds:
        lines += [
            "",
            f"Panoptes was ready {_number(_median(figures.ready_seconds), 0)} s after its start and held "
            f"{_number(_median(figures.memory_bytes) / 1e9)} GB at the end (proportional set size, Ray included).",
        ]
    return lines


def _p50(load: Load) -> float:
    return load.p50


def _p99(load: Load) -> float:
    return load.p99


def _median(values: Iterable[float]) -> float:
    known = list(values)
    return statistics.median(known) if known else math.nan


def _by_round(values: Iterable[float]) -> str:
    return " · ".join(_number(value) for value in values)


def _number(value: float, digits: int = 1) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "an unnamed CPU"
