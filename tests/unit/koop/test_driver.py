"""Days run a limited number at a time; a failed day is retried and reported, and does not affect the others."""

import asyncio
import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.koop.day import Counts, choose, is_over
from jobs.koop.driver import COLUMNS, Driver, Run, day_line, days_between, last_line, plan
from jobs.koop.options import Asked, Options, differences, signature, stated
from jobs.koop.search.query import Selection
from jobs.koop.search.sru import Results
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress
from tests.unit.koop.recorded import record

ASKED = Asked("test/weights", bundled=False, size=32, prompts=(("a",), ("b",), ("c",)))
DAYS = days_between(date(2023, 2, 27), date(2023, 3, 2))


def manifest(records: int = 2, *reasons: str, **counts: int) -> dict[str, Any]:
    return {
        "signature": signature(Options(), ASKED),
        "options": stated(Options(), ASKED),
        "complete": not reasons,
        "reasons": list(reasons),
        "deciders": [],
        "counts": {"records": records, "images": 3, "kept": 1, **counts},
    }


class Work:
    """Days of two records; `failing` gives how often each day fails before it succeeds."""

    def __init__(self, failing: dict[date, int] | None = None) -> None:
        self.failing, self.calls = failing or {}, Counter[date]()
        self.at_once = self.most_at_once = 0

    async def __call__(self, day: date) -> dict[str, Any]:
        self.calls[day] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.calls[day] <= self.failing.get(day, 0):
            raise RuntimeError(f"stack\ntrace\n{day} is ill")
        return manifest()


async def no_board() -> dict[date, Counts]:
    return {}


async def drive(work: Work) -> tuple[Run, str]:
    log = io.StringIO()
    with Progress(COLUMNS, len(DAYS), stream=log) as progress:
        run = await Driver(work, no_board, progress, at_once=2).run(DAYS)
    return run, log.getvalue()


def test_days_of_a_leap_year() -> None:
    assert len(days_between(date(2024, 1, 1), date(2024, 12, 31))) == 366
    assert DAYS[2] == date(2023, 3, 1)


async def test_every_day_is_done_and_days_in_flight_are_bounded() -> None:
    work = Work()
    run, log = await drive(work)
    assert list(run.manifests) == DAYS
    assert run.ok
    assert work.most_at_once == 2
    assert "2023-02-27: 2 decisions, 3 images, 1 kept" in log
    assert "4/4 days · 8 decisions · 12 images · 4 kept" in log


async def test_a_failed_day_is_retried_after_the_others_and_continues() -> None:
    work = Work({DAYS[0]: 1})
    run, log = await drive(work)
    assert set(run.manifests) == set(DAYS)
    assert run.ok
    assert work.calls[DAYS[0]] == 2
    assert "2023-02-27 failed: 2023-02-27 is ill" in log


async def test_a_day_that_always_fails_is_reported_and_does_not_affect_others() -> None:
    run, _ = await drive(Work({DAYS[1]: 99}))
    assert set(run.manifests) == set(DAYS) - {DAYS[1]}
    assert run.failed == {DAYS[1]: "2023-02-28 is ill"}
    assert not run.ok


async def test_a_forced_day_is_forgotten_once_before_its_first_try() -> None:
    work, forgotten = Work({DAYS[0]: 1}), Counter[date]()

    def forget(day: date) -> None:
        forgotten[day] += 1
        if day == DAYS[1] and forgotten[day] == 1:
            raise OSError("the folder is away")
        assert not work.calls[day]

    with Progress(COLUMNS, len(DAYS), stream=io.StringIO()) as progress:
        run = await Driver(work, no_board, progress, at_once=1).run(DAYS, forget)
    assert run.ok
    assert work.calls == Counter(DAYS) + Counter([DAYS[0]])
    assert forgotten == Counter(DAYS) + Counter([DAYS[1]])


async def test_a_board_that_is_lost_costs_no_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.koop.driver.READ_EVERY_S", 0.0)
    log = io.StringIO()

    async def lost() -> dict[date, Counts]:
        raise RuntimeError("the board is lost")

    async def work(day: date) -> dict[str, Any]:
        while "the board is lost" not in log.getvalue():
            await asyncio.sleep(0.001)
        return manifest()

    with Progress(COLUMNS, 1, stream=log) as progress:
        assert (await Driver(work, lost, progress, at_once=1).run(DAYS[:1])).ok


async def test_progress_shows_days_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.koop.driver.READ_EVERY_S", 0.001)
    shown: list[int] = []
    reads = 0

    async def board() -> dict[date, Counts]:
        nonlocal reads
        reads += 1
        return {DAYS[0]: Counts(1, 2, 1), date(1999, 1, 1): Counts(900, 900, 900)}

    async def work(day: date) -> dict[str, Any]:
        while reads < 3:
            await asyncio.sleep(0.001)
        shown.append(progress.counts["images"])
        return manifest()

    with Progress(COLUMNS, 1, stream=io.StringIO()) as progress:
        await Driver(work, board, progress, 1).run(DAYS[:1])
    assert shown == [2]
    assert progress.counts == {"days": 1, "decisions": 2, "images": 3, "kept": 1}


def test_a_run_is_not_ok_when_files_are_missing_but_may_be_today() -> None:
    day = DAYS[0]
    assert Run({day: manifest(2, "the day was not over")}).ok
    assert not Run({day: manifest(2, "the day was not over", "2 files could not be fetched")}).ok


def test_a_line_of_a_day_says_what_is_lost() -> None:
    line = day_line(DAYS[0], manifest(2, "1 files could not be fetched", missing=2, unreachable=1))
    assert line.endswith("1 kept, 2 missing, 1 unreachable, not complete: 1 files could not be fetched")


def test_the_last_line_of_an_error() -> None:
    error = RuntimeError("ray::task()\n  File x\nthe cause")
    assert last_line(error) == "the cause"
    assert last_line(TimeoutError()) == "TimeoutError"


async def test_a_plan(tmp_path: Path) -> None:
    output, (done, changed, open_, none) = Output(str(tmp_path)), DAYS
    output.write_json(f"manifests/date={done}.json", manifest())
    other = replace(Options(), min_bytes=9)
    output.write_json(f"manifests/date={changed}.json", manifest() | {"options": stated(other, ASKED)})
    output.write_json(f"manifests/date={open_}.json", manifest(2, "the day was not over"))
    planned = await plan(output, DAYS, Options(), ASKED, force=False)
    assert list(planned.complete) == [done]
    assert planned.todo == (changed, open_, none)
    assert planned.again == {changed: "made with min_bytes 9 → 0", open_: "incomplete: the day was not over"}
    forced = await plan(output, DAYS, Options(), ASKED, force=True)
    assert forced.todo == tuple(DAYS)
    assert forced.again == dict.fromkeys(DAYS[:3], "forced")


async def test_an_invalid_manifest_counts_as_missing(tmp_path: Path) -> None:
    output = Output(str(tmp_path))
    for day, content in zip(DAYS, (b"", b"[]", b'{"complete": true}', b"\xff"), strict=True):
        output.write_bytes(f"manifests/date={day}.json", content)
    assert (await plan(output, DAYS, Options(), ASKED, force=False)).todo == tuple(DAYS)


def test_differences_are_named() -> None:
    now = stated(replace(Options(), keep="maps", selection=Selection(signs=("C1",))), ASKED)
    before = stated(Options(), replace(ASKED, weights="old", prompts=(("x",),)))
    assert differences(before, now) == [
        "prompts",
        "weights 'old' → 'test/weights'",
        "keep 'maps-and-aerial' → 'maps'",
        "signs [] → ['C1']",
    ]
    assert signature(Options(), ASKED) != signature(replace(Options(), max_records=3), ASKED)


@pytest.mark.parametrize(
    ("moment", "over"),
    [
        (datetime(2023, 6, 30, 21, 59, tzinfo=UTC), False),  # 23:59 in Amsterdam
        (datetime(2023, 6, 30, 22, 1, tzinfo=UTC), True),
        (datetime(2023, 6, 29, 12, 0, tzinfo=UTC), False),
    ],
)
def test_a_day_ends_at_midnight_in_the_netherlands(moment: datetime, over: bool) -> None:
    assert is_over(date(2023, 6, 30), moment) is over


def test_a_selection_keeps_matching_records_and_counts_the_rest() -> None:
    records = tuple(record(f"gmb-2023-{number}", "Laadpaal" if number == 2 else "Bord") for number in range(5))
    options = replace(Options(), selection=Selection(without_words=("laadpaal",)), max_records=3)
    chosen, left_out = choose(Results(records, 5, "exact"), options)
    assert [one.identifier for one in chosen] == ["gmb-2023-0", "gmb-2023-1", "gmb-2023-3"]
    assert left_out == {"a word in the title": 1, "after the most records": 1}
