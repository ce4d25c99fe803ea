"""Takes the days of a run through: which are to be done, so many at a time, each tried again when it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from jobs.koop.day import NOT_OVER, Counts
from jobs.koop.day_files import Manifest, read_manifest
from jobs.koop.options import Asked, Options, differences, stated
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress

ROUNDS = 3  # a day that fails is tried again when the others are done
READ_EVERY_S = 1.0
READERS = 16
COLUMNS = ("days", "decisions", "images", "kept")


# Does what is not done of a day; its manifest. Raises whatever went wrong.
Work = Callable[[date], Awaitable[Manifest]]


@dataclass
class Run:
    """How the days of a run ended: their manifests, those of earlier runs included, and why others failed."""

    manifests: dict[date, Manifest] = field(default_factory=dict)
    failed: dict[date, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> dict[date, Manifest]:
        """Days that were done as far as possible, those that are not over included."""
        return {day: manifest for day, manifest in self.manifests.items() if not manifest["complete"]}

    @property
    def ok(self) -> bool:
        """Whether every day that is over is complete."""
        return not self.failed and all(set(manifest["reasons"]) <= {NOT_OVER} for manifest in self.manifests.values())


def days_between(start: date, end: date) -> list[date]:
    """Every day from the first to the last."""
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


@dataclass(frozen=True)
class IngestionPlan:
    """Days that are complete already, with their manifests; those to be done; and why some are done again."""

    complete: dict[date, Manifest]
    todo: tuple[date, ...]
    again: dict[date, str]


async def plan(output: Output, days: Iterable[date], options: Options, asked: Asked, *, force: bool) -> IngestionPlan:
    """What is to be done: every day that is not complete by these options and weights."""
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
    """Does days, `at_once` of them side by side."""

    def __init__(
        self, work: Work, read_board: Callable[[], Awaitable[dict[date, Counts]]], progress: Progress, at_once: int
    ) -> None:
        """`read_board` gives how far the days under way are."""
        self._work, self._read_board, self._progress = work, read_board, progress
        self._slots = asyncio.Semaphore(at_once)
        self._under_way: set[date] = set()
        self._forgotten: set[date] = set()
        self._done = Counts()
        self._shown = Counts()

    async def run(self, todo: Sequence[date], forget: Callable[[date], None] | None = None) -> Run:
        """Do them all; a day that fails in every round is reported, and costs no other.

        `forget` undoes what earlier runs have done of a day. It is called once for each, before its first try.
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
            except Exception as error:  # whatever it is, it is this day's
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
            except Exception as error:  # the days themselves do not need it
                self._progress.note(f"Days under way are not shown any more: {last_line(error)}")
                return
            self._show(sum((counts for day, counts in board.items() if day in self._under_way), self._done))

    def _show(self, counts: Counts, days: int = 0) -> None:
        more = {name: getattr(counts, name) - getattr(self._shown, name) for name in vars(counts)}
        self._shown = counts
        self._progress.advance(days=days, decisions=more["records"], images=more["images"], kept=more["kept"])


def counts_of(manifest: Manifest) -> Counts:
    """What a finished day adds up to."""
    counts = manifest["counts"]
    return Counts(counts["records"], counts["images"], counts.get("kept", 0))


def day_line(day: date, manifest: Manifest) -> str:
    """A finished day in a line."""
    counts = counts_of(manifest)
    line = f"{day}: {counts.records:,} decisions, {counts.images:,} images, {counts.kept:,} kept"
    lost = {name: manifest["counts"].get(name, 0) for name in ("missing", "refused", "unusable", "unreachable")}
    parts = [f"{number:,} {name}" for name, number in lost.items() if number]
    parts += [] if manifest["complete"] else ["not complete: " + "; ".join(manifest["reasons"])]
    return ", ".join([line, *parts])


def last_line(error: BaseException) -> str:
    """What went wrong, without the stack trace that Ray puts before it."""
    lines = str(getattr(error, "cause", None) or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
