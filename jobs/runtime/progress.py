"""The progress of a job: a live bar in a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

LINE_EVERY_S = 15.0


class Progress:
    """The counters of a job. Used as a context manager, from one thread.

    `total` refers to the first counter: `Progress(("days", "records", "images", "kept"), 365, rate="images")`. A
    terminal shows the counters behind a live bar with the remaining time; elsewhere they are printed every 15 s and at
    the end.
    """

    def __init__(
        self,
        columns: Sequence[str],
        total: int,
        *,
        rate: str = "",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            columns: names of the counters.
            total: the final value of the first counter.
            rate: the counter whose speed per second is shown; empty means the first.
            stream: where to print; None means stderr.
            clock: returns the time in seconds.
        """
        self.counts = dict.fromkeys(columns, 0)
        self._first, self._total, self._rate, self._clock = columns[0], total, rate or columns[0], clock
        self._started = self._last_line = clock()
        self._skipped = dict.fromkeys(columns, 0)
        stream = stream or sys.stderr
        # Log lines are not wrapped; the bar's console, below, uses the width of the terminal.
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._bar: Bar | None = None
        if self._console.is_interactive:
            self._bar = Bar(
                BarColumn(bar_width=None, table_column=Column(ratio=1)),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[text]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(file=stream, highlight=False),
                expand=True,
            )
            self._task = self._bar.add_task("", total=total, text=self._text())

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.update(self._task, text=self._text())
            self._bar.stop()
        else:
            self._line()

    def advance(self, **counts: int) -> None:
        """Add to counters by name."""
        for name, count in counts.items():
            self.counts[name] += count
        if self._bar:
            self._bar.update(self._task, completed=self.counts[self._first], text=self._text())
        elif self._clock() - self._last_line >= LINE_EVERY_S:
            self._line()

    def skip(self, **counts: int) -> None:
        """Add what an earlier run has done: it counts as progress but not towards the speed. Call it first."""
        for name, count in counts.items():
            self.counts[name] += count
            self._skipped[name] += count
        if self._bar:
            self._bar.reset(self._task, total=self._total, completed=self.counts[self._first], text=self._text())

    def note(self, text: str) -> None:
        """Print a line beside the counters, for example about a failure."""
        console = self._bar.console if self._bar else self._console
        console.print(text, markup=False, soft_wrap=True)

    def _line(self) -> None:
        self._last_line = self._clock()
        done = self.counts[self._first]
        elapsed = self._last_line - self._started
        now = done - self._skipped[self._first]
        left = elapsed / now * (self._total - done) if now else None
        times = f"{_duration(elapsed)} so far" + (f", about {_duration(left)} left" if left else "")
        self.note(f"{self._text()} · {times}")

    def _text(self) -> str:
        first = f"{self.counts[self._first]:,}/{self._total:,} {self._first}"
        others = [f"{count:,} {name}" for name, count in self.counts.items() if name != self._first]
        elapsed = self._clock() - self._started
        speed = (self.counts[self._rate] - self._skipped[self._rate]) / elapsed if elapsed > 0 else 0.0
        return " · ".join([first, *others, f"{speed:.1f} {self._rate}/s"])


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
