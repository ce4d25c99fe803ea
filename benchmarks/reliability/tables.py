"""The reliability sections of RESULTS.md."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks import report
from benchmarks.reliability.faults import LIGHT
from benchmarks.reliability.measuring import Seen
from benchmarks.reliability.overload import Overload
from benchmarks.reliability.soak import ALL, SAMPLE_S, WARM_UP_MINUTES, Soak


@dataclass(frozen=True)
class Row:
    """A fault, how requests may fail under it, what the clients saw, and whether anything was to be replaced."""

    what: str
    allowed: frozenset[str]
    seen: Seen
    replaces: bool = True

    def line(self) -> str:
        """The row of the table."""
        seen = self.seen
        failed = _counted(seen.failed)
        kept = seen.failed.keys() <= self.allowed
        cells = [
            self.what,
            str(seen.sent),
            failed if kept else f"**{failed}**",
            "yes" if self.allowed else "no",
            f"{seen.gap_s:.1f}",
            f"{seen.slowest_s:.1f}",
            _seconds(seen.healed_s) if self.replaces else "**yes**" if seen.healed_s is None else "nothing",
            _seconds(seen.back_s),
            f"{seen.usual:.1f}",
        ]
        return f"| {' | '.join(cells)} |"


def faults(rows: list[Row], clients: int) -> str:
    """The section of the faults."""
    lines = [
        "## Faults",
        "",
        f"{report.machine('ray')}. `python -m benchmarks.reliability --clients {clients}`",
        "",
        f"{clients} clients ask /classify, /v1/tags and /v1/embeddings of the bundled CLIP and tagger in turns. Gap: "
        "the longest time without a good answer to anybody. Replaced: another process has taken the place of the one "
        f"that failed. On the busy machine {LIGHT} clients ask, also for /livez, /readyz, /health and /v1/models, and "
        "nothing may be replaced. Back: the throughput over 5 s is 90 % of that before the fault again.",
        "",
        "| fault | sent | failed | may fail | gap s | slowest answer s | replaced after s | back after s | answers/s |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|",
        *(row.line() for row in rows),
    ]
    return "\n".join(lines)


def soak(seen: Soak, clients: int) -> str:
    """The section of the soak: medians of the first and the last quarter of the samples."""
    samples = len(seen.memory[ALL])
    passing = [name for name, sizes in seen.memory.items() if len(sizes) < samples]
    lines = [
        "## Soak",
        "",
        f"{report.machine('ray')}. `python -m benchmarks.reliability --soak {seen.minutes:g} --clients {clients}`",
        "",
        f"{seen.answered} requests in {seen.minutes:g} minutes, {seen.throughput:.1f} good answers a second; failed: "
        f"{_counted(seen.failed)}. Proportional set size of each process, a sample each {SAMPLE_S:g} s after "
        f"{WARM_UP_MINUTES:g} minutes of the same load: medians of the first and of the last quarter of the samples.",
        "",
        "| process | first quarter MB | last quarter MB | growth MB | spread within a quarter MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, sizes in sorted(seen.memory.items()):
        if name in passing:
            continue
        quarter = max(1, len(sizes) // 4)
        first, last = sizes[:quarter], sizes[-quarter:]
        before, after = statistics.median(first), statistics.median(last)
        spread = max(max(part) - min(part) for part in (first, last))
        cells = [name, *(f"{size / 1e6:.1f}" for size in (before, after, after - before, spread))]
        lines.append(f"| {' | '.join(cells)} |")
    if passing:
        lines += ["", f"There for a part of the time only, and in the sum alone: {', '.join(sorted(passing))}."]
    return "\n".join(lines)


def overload(seen: Overload) -> str:
    """The section of the overload."""
    refused = sum(seen.refused.values())
    targets = [
        report.Target("goodput ÷ capacity", seen.goodput / seen.capacity, 0.9),
        report.Target("refusals, p50", 1000 * seen.refusal_p50, 100, at_most=True, unit=" ms"),
        report.Target("refusals, p99", 1000 * seen.refusal_p99, 100, at_most=True, unit=" ms"),
        report.Target("refusals without Retry-After", seen.without_retry_after, 0, at_most=True),
        report.Target("other failures", sum(seen.failed.values()), 0, at_most=True),
    ]
    spent = ", ".join(f"{kind} {cpu_s:.1f}" for kind, cpu_s in sorted(seen.cpu_s.items(), key=lambda one: -one[1]))
    lines = [
        "## Overload",
        "",
        f"{report.machine('ray')}. `python -m benchmarks.reliability --overload`",
        "",
        f"CLIP ViT-B/32 of full size with random weights, /classify. Capacity: {seen.capacity:.1f} answers/s. "
        f"Offered: {seen.offered:.1f} requests/s ({seen.offered / seen.capacity:.0f} ×) for {seen.seconds:g} s, "
        f"sent at most {seen.late_s:.1f} s late. Goodput, once as many requests are in flight as are admitted: "
        f"{seen.goodput:.1f}/s. Refused: {refused} ({_counted(seen.refused)}); failed otherwise: "
        f"{_counted(seen.failed)}.",
        "",
        "| target | | measured | |",
        "|---|--:|--:|---|",
        *(target.row() for target in targets),
        "",
        f"CPU seconds meanwhile: {spent}.",
    ]
    return "\n".join(lines)


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ×{count}" for name, count in sorted(numbers.items())) or "none"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
