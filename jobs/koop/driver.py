"""Runs the days of an ingestion: plans which days to do, does several in parallel, and retries those that fail."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from jobs.koop.day import NOT_OVER, Counts
from jobs.koop.day_files import Manifest, read_manifest
from jobs.koop.options import Asked, Options, differences, stated
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress

ROUNDS = 3  # a day that fails is retried after all others, up to this many rounds in total
READ_EVERY_S = 1.0
READERS = 16
COLUMNS = ("days", "decisions", "images", "kept")


# Processes what is not done of a day and returns its manifest. Raises any error.
Work = Callable[[date], Awaitable[Manifest]]


@dataclass
class Run:
    """The outcome of a run: the manifests of its days, including those of earlier runs, and why other days failed."""

    manifests: dict[date, Manifest] = field(default_factory=dict)
    failed: dict[date, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> dict[date, Manifest]:
        """Days that are not complete although they did not fail, including days that are not over."""
        return {day: manifest for day, manifest in self.manifests.items() if not manifest["complete"]}

    @property
    def ok(self) -> bool:
        """Whether all days that are over are complete."""
        return not self.failed and all(set(manifest["reasons"]) <= {NOT_OVER} for manifest in self.manifests.values())


def days_between(start: date, end: date) -> list[date]:
    """All days from `start` to `end`, both included."""
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


@dataclass(frozen=True)
class IngestionPlan:
    """The complete days with their manifests, the days to do, and why some of these are done again."""

    complete: dict[date, Manifest]
    todo: tuple[date, ...]
    again: dict[date, str]


async def plan(output: Output, days: Iterable[date], options: Options, asked: Asked, *, force: bool) -> IngestionPlan:
    """Plan a run: every day is to be done that is not complete with these options and weights."""
    days, readers = list(days), asyncio.Semaphore(READERS)

    async def read(day: date) -> Manifest | None:
        async with readers:
            return await asyncio.to_thread(read_manifest, output, day)

    wanted = stated(options, asked)
    complete: dict[date, Manifest] = {}
    again: dict[date, str] = {}
    for day, manifest in zip(days, await asyncio.gather(*map(read, days)), strict=True):
        if manifest is None:
            continue
        if force:
            again[day] = "forced"
        elif changed := differences(manifest["options"], wanted):
            again[day] = "made with " + ", ".join(changed)
        elif not manifest["complete"]:
            again[day] = "incomplete: " + "; ".join(manifest["reasons"])
        else:
            complete[day] = manifest
    return IngestionPlan(complete, tuple(day for day in days if day not in complete), again)


class Driver:
    """Processes days, `at_once` of them in parallel."""

    def __init__(
        self, work: Work, read_board: Callable[[], Awaitable[dict[date, Counts]]], progress: Progress, at_once: int
    ) -> None:
        """`read_board` returns the progress of the days that are being processed."""
        self._work, self._read_board, self._progress = work, read_board, progress
        self._slots = asyncio.Semaphore(at_once)
        self._under_way: set[date] = set()
        self._forgotten: set[date] = set()
        self._done = Counts()
        self._shown = Counts()

    async def run(self, todo: Sequence[date], forget: Callable[[date], None] | None = None) -> Run:
        """Process all days. A day that fails in every round is reported and does not affect the others.

        `forget` removes what earlier runs have done of a day. It is called once per day, before its first try.
        """
        run = Run()
        reading = asyncio.create_task(self._show_board())
        try:
            for _ in range(ROUNDS):
                left = [day for day in todo if day not in run.manifests]
                await asyncio.gather(*(self._day(day, run, forget) for day in left))
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return run

    async def _day(self, day: date, run: Run, forget: Callable[[date], None] | None) -> None:
        async with self._slots:
            self._under_way.add(day)
            try:
                if forget is not None and day not in self._forgotten:
                    await asyncio.to_thread(forget, day)
                    self._forgotten.add(day)
                manifest = await self._work(day)
            except Exception as error:  # whatever it is, only this day fails
                run.failed[day] = last_line(error)
                self._progress.note(f"{day} failed: {run.failed[day]}")
                return
            finally:
                self._under_way.discard(day)
        run.failed.pop(day, None)
        run.manifests[day] = manifest
        self._done += counts_of(manifest)
        self._progress.note(day_line(day, manifest))
        self._show(self._done, days=1)

    async def _show_board(self) -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            try:
                board = await self._read_board()
            except Exception as error:  # the board only shows progress, so the days go on
                self._progress.note(f"The progress of unfinished days is not shown any more: {last_line(error)}")
                return
            self._show(sum((counts for day, counts in board.items() if day in self._under_way), self._done))

    def _show(self, counts: Counts, days: int = 0) -> None:
        more = {name: getattr(counts, name) - getattr(self._shown, name) for name in vars(counts)}
        self._shown = counts
        self._progress.advance(days=days, decisions=more["records"], images=more["images"], kept=more["kept"])


def counts_of(manifest: Manifest) -> Counts:
    """The counts in the manifest of a finished day."""
    counts = manifest["counts"]
    return Counts(counts["records"], counts["images"], counts.get("kept", 0))


def day_line(day: date, manifest: Manifest) -> str:
    """One line about a finished day."""
    counts = counts_of(manifest)
    line = f"{day}: {counts.records:,} decisions, {counts.images:,} images, {counts.kept:,} kept"
    lost = {name: manifest["counts"].get(name, 0) for name in ("missing", "refused", "unusable", "unreachable")}
    parts = [f"{number:,} {name}" for name, number in lost.items() if number]
    parts += [] if manifest["complete"] else ["not complete: " + "; ".join(manifest["reasons"])]
    return ", ".join([line, *parts])


def last_line(error: BaseException) -> str:
    """The last line of an error's message, without the stack trace that Ray puts before it."""
    lines = str(getattr(error, "cause", None) or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
