"""The sections of RESULTS.md."""

import os
from dataclasses import dataclass

from benchmarks import report
from benchmarks.reliability.faults import Fault


@dataclass(frozen=True)
class Row:
    """One fault and what the clients saw of it; seconds from the fault on, None where it did not come to that."""

    fault: Fault
    sent: int
    failed: dict[str, int]
    usual: float
    gap_s: float
    slowest_s: float
    healed_s: float | None
    back_s: float | None

    @property
    def kept(self) -> bool:
        """Whether no request failed but as it may."""
        return self.failed.keys() <= self.fault.allowed

    def line(self) -> str:
        """As a line of the table."""
        failed = ", ".join(f"{status} ×{count}" for status, count in sorted(self.failed.items())) or "none"
        cells = [
            self.fault.what,
            str(self.sent),
            failed if self.kept else f"**{failed}**",
            "some" if self.fault.allowed else "none",
            f"{self.gap_s:.1f}",
            f"{self.slowest_s:.1f}",
            _seconds(self.healed_s),
            f"{_seconds(self.back_s)} ({self.usual:.1f}/s)",
        ]
        return f"| {' | '.join(cells)} |"


def faults(rows: list[Row], clients: int) -> str:
    """The section of the faults."""
    return "\n".join([
        "## Faults",
        "",
        f"{report.machine('ray')}, load average {os.getloadavg()[0]:.1f}. "
        f"`python -m benchmarks.reliability --clients {clients}`",
        "",
        "| fault | sent | failed | may fail | longest gap s | slowest answer s | replaced after s | back at 90 % after s |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
        *(row.line() for row in rows),
    ])


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
