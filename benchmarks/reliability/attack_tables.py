"""The sections of RESULTS.md about attacks: hostile bodies, slow clients, wrong requests."""

from benchmarks import report
from benchmarks.reliability.fuzz import CLIENTS, SHOWN, Fuzzed
from benchmarks.reliability.hostile import GROWTH_MB, LONGEST_MS, Cost
from benchmarks.reliability.slow import CONNECTIONS, MOST_S, Kept


def hostile(costs: list[Cost]) -> str:
    """The section of the hostile bodies."""
    slowest, growth = max(cost.longest_ms for cost in costs), max(cost.growth_mb for cost in costs)
    targets = [
        report.Target("the longest /health-check of another client", slowest, LONGEST_MS, at_most=True, unit=" ms"),
        report.Target("growth of the ingress", growth, GROWTH_MB, at_most=True, unit=" MB"),
    ]
    rows = [
        f"| {cost.what} | {cost.route} | {cost.size_mb:.1f} | {cost.status} | {cost.seconds:.1f} "
        f"| {cost.longest_ms:.0f} | {cost.growth_mb:.0f} | {cost.resident_mb:.0f} |"
        for cost in costs
    ]
    return _section(
        "Hostile bodies",
        "--hostile",
        "While a body is sent and answered, another client asks /health-check all the time. Growth of the ingress: its "
        "private memory, and all that is resident with the pages of the object store.",
        "| body | route | MB | status | answered after s | longest /health-check ms | private MB | resident MB |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *rows,
        "",
        "| target | | measured | |",
        "|---|--:|--:|---|",
        *(target.row() for target in targets),
    )


def slow(kept: list[Kept]) -> str:
    """The section of the slow clients."""
    rows = [
        f"| {one.what} | {one.closed} of {CONNECTIONS} | {one.longest_s:.0f} "
        f"| {', '.join(sorted(one.answers)) or 'none'} | {one.other_ms:.0f} |"
        for one in kept
    ]
    return _section(
        "Slow clients",
        "--slow",
        f"{CONNECTIONS} connections of each kind at once, watched for {MOST_S:g} s; REQUEST_TIMEOUT_S is 20.",
        "| connections | closed | longest open s | answer | longest /health-check of another client ms |",
        "|---|--:|--:|---|--:|",
        *rows,
    )


def fuzzed(seen: Fuzzed, seed: int) -> str:
    """The section of the wrong requests, with those whose answer was faulty."""
    statuses = ", ".join(f"{status or 'none'} × {count}" for status, count in sorted(seen.statuses.items()))
    return _section(
        "Wrong requests",
        f"--fuzz {seen.sent} --seed {seed}",
        f"{seen.sent} requests from {CLIENTS} clients to every route, each wrong in one or more places. By status: "
        f"{statuses}. Slowest answer: {seen.slowest_s:.1f} s. A good request afterwards: "
        f"{'answered' if seen.alive else 'NOT answered'}.",
        f"Faulty answers (500, none in time, or an error that is not JSON): {len(seen.faults)}.",
        *(f"- `{fault}`" for fault in seen.faults[:SHOWN]),
    )


def _section(title: str, options: str, said: str, *lines: str) -> str:
    command = f"{report.machine('ray')}. `python -m benchmarks.reliability {options}`"
    return "\n".join([f"## {title}", "", command, "", said, "", *lines])
