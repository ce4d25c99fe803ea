"""Days of a KOOP on loopback, over HTTP, to files: complete, each record once, whatever happens on the way."""

import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from PIL import Image

from jobs.koop import day as day_module
from jobs.koop.day_files import read_manifest
from jobs.koop.driver import Run
from jobs.koop.options import Asked, Options
from jobs.koop.query import Selection
from jobs.koop.summary import write_report
from jobs.output import Output
from tests.doubles.koop import Drawings, Fault, KoopServer, Richness, Rule
from tests.doubles.koop_worker import ASKED, Colours, ingest, rows
from tests.paths import PROJECT

DAY, EMPTY, NEXT = date(2023, 3, 1), date(2023, 3, 2), date(2023, 3, 3)
DECISIONS = {DAY: 14, EMPTY: 0, NEXT: 6}
DAYS = list(DECISIONS)
KILLS = 20
SEED = 7


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    return Drawings(count=10, side=(64, 96))


@pytest.fixture
def koop(drawings: Drawings) -> Iterator[KoopServer]:
    with KoopServer(DECISIONS, seed=SEED, drawings=drawings, richness=Richness(others=5)) as server:
        yield server


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(str(tmp_path / "koop"))


def files(output: Output) -> list[str]:
    return [path for path in output.list() if not path.startswith("manifests/")]


def everything(output: Output) -> dict[str, bytes]:
    """All files of an output but its manifests, which tell when."""
    return {path: output.read_bytes(path) or b"" for path in files(output)}


def named(koop: KoopServer, day: date) -> Counter[tuple[str, str, int | None]]:
    """Every picture of a day: publication, name, page."""
    expected: Counter[tuple[str, str, int | None]] = Counter()
    for one in koop.collection.decisions(day):
        expected.update((one.identifier, picture.name, None) for picture in one.pictures)
        for attachment in one.attachments:
            expected.update((one.identifier, attachment.filename, page + 1) for page in range(len(attachment.pages)))
    return expected


async def test_every_picture_of_every_decision_has_its_row(koop: KoopServer, output: Output) -> None:
    _, run = await ingest(output, koop.address, DAYS)
    assert run.ok
    for day in DAYS:
        publications, images = rows(output, "publications", day), rows(output, "images", day)
        decisions = {one.identifier: one for one in koop.collection.decisions(day)}
        assert [row["identifier"] for row in publications] == sorted(decisions)
        assert Counter((row["publication"], row["name"], row["page"]) for row in images) == named(koop, day)
        for row in publications:
            truth = decisions[row["identifier"]]
            assert row["title"] == truth.title
            assert row["sign_codes"] == list(truth.sign_codes)
            assert [(area["wkt"], area["problem"]) for area in row["areas"]] == [(a.wkt, None) for a in truth.areas]
            assert all(3 < area["longitude"] < 8 and 50 < area["latitude"] < 54 for area in row["areas"])
            assert [attached["number"] for attached in row["attachments"]] == [a.exb for a in truth.attachments]
            codes = [value["text"] for value in row["metadata"] if value["field"] == "verkeersbordcode"]
            assert codes == list(truth.sign_codes)
    manifest = read_manifest(output, DAY)
    assert manifest is not None
    assert manifest["complete"] is True
    assert manifest["counts"]["records"] == DECISIONS[DAY]
    assert manifest["weights"] == {"id": "test/colours", "bundled": True}
    assert read_manifest(output, EMPTY)["counts"] == {"found": 0, "stated": 0, "records": 0, "images": 0}  # type: ignore[index]


async def test_kept_pictures_are_there_and_no_others(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, DAYS)
    kept = {row["kept"]: row for day in DAYS for row in rows(output, "images", day) if row["kept"]}
    assert sorted(kept) == [path for path in files(output) if path.startswith("kept/")]
    assert any(row["page"] for row in kept.values())
    assert any(row["page"] is None for row in kept.values())
    for path, row in kept.items():
        data = output.read_bytes(path)
        assert data is not None
        assert len(data) == row["bytes"]
        assert row["sha256"] in path
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (row["width"], row["height"])
    for day in DAYS:
        for row in rows(output, "images", day):
            decision = max(row["probabilities"], key=row["probabilities"].get)
            assert row["category"] == decision
            assert row["bundled"] is True
            assert (row["outcome"] == "kept") == row["is_map_or_aerial"] == (row["kept"] is not None)
            assert len(row["embedding"]) == 3
            with Image.open(io.BytesIO(row["seen"])) as seen:
                assert seen.size == (ASKED.size, ASKED.size)


async def test_the_tables_are_a_partitioned_dataset(koop: KoopServer, tmp_path: Path) -> None:
    await ingest(Output(str(tmp_path)), koop.address, DAYS)
    images = ds.dataset(tmp_path / "images", partitioning="hive").to_table(columns=["date", "publication"])
    assert set(images["date"].to_pylist()) == {str(day) for day in DAYS if DECISIONS[day]}
    assert images.num_rows == sum(named(koop, day).total() for day in DAYS)


async def test_a_second_run_asks_for_nothing_and_force_does_all_again(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, DAYS)
    before, asked = everything(output), len(koop.requests)
    plan, run = await ingest(output, koop.address, DAYS)
    assert (plan.todo, run.manifests) == ((), {})
    assert len(koop.requests) == asked
    plan, run = await ingest(output, koop.address, DAYS, force=True)
    assert plan.todo == tuple(DAYS)
    assert len(koop.requests) == 2 * asked
    assert everything(output) == before


async def test_other_options_do_a_day_again_and_leave_nothing_of_before(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, [DAY])
    both = {row["kept"] for row in rows(output, "images", DAY) if row["kept"]}
    plan, run = await ingest(output, koop.address, [DAY], replace(Options(), keep="maps"))
    assert plan.again == {DAY: "made with keep 'maps-and-aerial' → 'maps'"}
    maps = {row["kept"] for row in rows(output, "images", DAY) if row["category"] == "maps" and row["kept"]}
    assert maps
    assert maps < both
    assert {path for path in files(output) if path.startswith("kept/")} == maps
    assert {row["category"] for row in rows(output, "images", DAY) if row["outcome"] == "kept"} == {"maps"}
    assert run.ok


async def test_other_weights_do_a_day_again(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, [NEXT])
    colours = Colours()
    colours.asked_for = replace(ASKED, weights="test/other", bundled=False)
    plan, _ = await ingest(output, koop.address, [NEXT], colours=colours)
    assert "weights 'test/colours' → 'test/other'" in plan.again[NEXT]
    assert {(row["weights"], row["bundled"]) for row in rows(output, "images", NEXT)} == {("test/other", False)}


async def test_weights_that_change_on_the_way_fail_the_try(koop: KoopServer, output: Output) -> None:
    class Changing(Colours):
        asks = 0

        async def asked(self) -> Asked:
            self.asks += 1
            return replace(ASKED, weights="test/new") if self.asks > 2 else ASKED  # the plan, the day's beginning

    _, run = await ingest(output, koop.address, [NEXT], colours=Changing())
    assert run.ok
    assert {row["weights"] for row in rows(output, "images", NEXT)} == {"test/new"}


async def test_small_files_long_pdfs_and_few_records(koop: KoopServer, output: Output) -> None:
    options = Options(min_bytes=3_000, max_pages=1, max_records=5)
    _, run = await ingest(output, koop.address, [DAY], options)
    images = rows(output, "images", DAY)
    assert len(rows(output, "publications", DAY)) == 5
    assert run.manifests[DAY]["left_out"] == {"after the most records": DECISIONS[DAY] - 5}
    small = [row for row in images if row["outcome"] == "small"]
    assert small
    assert all(row["bytes"] < 3_000 and row["sha256"] is None and row["error"] for row in small)
    assert all(row["page"] in (None, 1) for row in images)
    long = [row for row in images if row["outcome"] == "unusable"]
    assert all("of which the first 1 were looked at" in row["error"] for row in long)
    assert long


async def test_a_selection_is_told_in_the_manifest(koop: KoopServer, output: Output) -> None:
    name = koop.collection.decisions(DAY)[0].creators[0]
    selection = (
        Selection(provinces=(name.name,)) if name.kind == "Provincie" else Selection(municipalities=(name.name,))
    )
    _, run = await ingest(output, koop.address, [DAY], Options(selection=selection))
    chosen = rows(output, "publications", DAY)
    assert 0 < len(chosen) < DECISIONS[DAY]
    assert all(name.name in {creator["name"] for creator in row["creators"]} for row in chosen)
    manifest = run.manifests[DAY]
    assert manifest["deciders"] == [name.name]
    assert manifest["left_out"] == {"decided elsewhere": DECISIONS[DAY] - len(chosen)}


async def test_what_is_missing_has_its_row_and_its_reason(koop: KoopServer, output: Output) -> None:
    with_pictures = [one for one in koop.collection.decisions(DAY) if one.pictures]
    lost, textless = with_pictures[0].pictures[0].name, with_pictures[1].identifier
    koop.faults.rules += [
        Rule(Fault.HTML, path=f"/{lost}$"),
        Rule(Fault.LOOP, path=f"/{textless}[.]xml$"),
    ]
    _, run = await ingest(output, koop.address, [DAY])
    images = rows(output, "images", DAY)
    (row,) = [row for row in images if row["name"] == lost]
    assert (row["outcome"], row["category"], row["kept"]) == ("unusable", None, None)
    assert "HTML" in row["error"]
    (row,) = [row for row in images if row["publication"] == textless and row["source"] == "document"]
    assert row["outcome"] == "missing"
    manifest = run.manifests[DAY]
    assert manifest["complete"]
    assert manifest["counts"]["missing"] == 1
    assert {error["name"] for error in manifest["errors"]} == {lost, f"{textless}.xml"}
    assert len(rows(output, "publications", DAY)) == DECISIONS[DAY]


async def test_what_cannot_be_reached_leaves_the_day_open_and_is_all_that_is_asked_again(
    koop: KoopServer, output: Output
) -> None:
    decision = next(one for one in koop.collection.decisions(DAY) if one.pictures)
    rule = Rule(Fault.UNAVAILABLE, path=f"/{decision.pictures[0].name}$")
    koop.faults.rules.append(rule)
    _, run = await ingest(output, koop.address, [DAY])
    assert run.manifests[DAY]["reasons"] == ["1 files could not be fetched"]
    assert not run.ok
    assert run.manifests[DAY]["retries"] >= 5
    koop.faults.rules.remove(rule)
    asked, colours = len(koop.requests), Colours()
    plan, run = await ingest(output, koop.address, [DAY], colours=colours)
    assert plan.again == {DAY: "incomplete: 1 files could not be fetched"}
    assert run.ok
    pictures = sum(key[0] == decision.identifier for key in named(koop, DAY))
    assert colours.pictures == pictures
    assert len(koop.requests) - asked <= 2 + len(decision.pictures) + 2 * len(decision.attachments)
    assert Counter((row["publication"], row["name"], row["page"]) for row in rows(output, "images", DAY)) == named(
        koop, DAY
    )


async def test_a_search_that_gives_too_few_leaves_the_day_open(koop: KoopServer, output: Output) -> None:
    koop.faults.rules.append(Rule(Fault.MISCOUNTED, path="/sru"))
    _, run = await ingest(output, koop.address, [NEXT])
    assert run.manifests[NEXT]["reasons"] == ["the search told 7 records and gave 6"]
    assert len(rows(output, "publications", NEXT)) == DECISIONS[NEXT]


async def test_a_day_that_is_not_over_is_never_complete(
    koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_module, "is_over", lambda day, moment: False)
    _, run = await ingest(output, koop.address, [NEXT])
    assert run.manifests[NEXT]["complete"] is False
    assert run.ok
    plan, _ = await ingest(output, koop.address, [NEXT])
    assert plan.again == {NEXT: "incomplete: the day was not over"}


async def test_a_search_that_fails_costs_its_day_alone(koop: KoopServer, output: Output) -> None:
    koop.faults.rules.append(Rule(Fault.BROKEN, path="/sru", query=str(DAY)))
    _, run = await ingest(output, koop.address, DAYS)
    assert set(run.manifests) == {EMPTY, NEXT}
    assert "status 500" in run.failed[DAY]
    assert not run.ok


async def test_a_tenth_of_all_requests_fails_and_nothing_is_lost(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, DAYS)
    unharmed = everything(output)
    koop.faults.fail_rate = 0.1
    _, run = await ingest(output, koop.address, DAYS, force=True)
    assert run.ok
    assert run.manifests[DAY]["retries"] > 0
    assert everything(output) == unharmed


async def test_a_classifier_that_goes_away_keeps_what_it_said(koop: KoopServer, output: Output) -> None:
    class Fails(Colours):
        async def score(self, pixels: Any) -> Any:
            if self.pictures > 16:
                raise TimeoutError("away")
            return await super().score(pixels)

    away = Fails()
    _, run = await ingest(output, koop.address, [DAY], colours=away)
    assert run.failed == {DAY: "away"}
    assert output.list("images") == []
    colours = Colours()
    await ingest(output, koop.address, [DAY], colours=colours)
    assert colours.pictures < named(koop, DAY).total()
    assert Counter((row["publication"], row["name"], row["page"]) for row in rows(output, "images", DAY)) == named(
        koop, DAY
    )


async def test_pictures_in_memory_are_bounded(
    koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_module, "PICTURES_AT_ONCE", 5)
    most = 0

    class Counting(Colours):
        async def score(self, pixels: Any) -> Any:
            nonlocal most
            most = max(most, len(pixels))
            await asyncio.sleep(0.02)
            return await super().score(pixels)

    colours = Counting()
    await ingest(output, koop.address, [DAY], colours=colours)
    assert 1 < most <= 5
    assert colours.calls < colours.pictures


async def test_the_report_shows_what_was_kept_and_what_not(koop: KoopServer, output: Output) -> None:
    _, run = await ingest(output, koop.address, DAYS)
    run.failed[date(2023, 3, 4)] = "<b>the search</b> is away"
    write_report(output, run, ASKED, ["Bundled weights."])
    report = (output.read_bytes("report.html") or b"").decode()
    for word in ("Kept", "Not kept", "data:image/jpeg;base64,", "2023-03-01", "Bundled weights.", "3 of 4", "<circle"):
        assert word in report
    assert "&lt;b&gt;the search" in report
    assert report.count("<figure") >= 8


async def test_a_report_of_nothing(output: Output) -> None:
    write_report(output, Run(failed={DAY: "away"}), ASKED, [])
    assert b"away" in (output.read_bytes("report.html") or b"")


def start(output: Output, koop: KoopServer) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.doubles.koop_worker", output.url, koop.address, str(DAY), str(NEXT)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def test_killed_twenty_times_it_ends_with_the_same_records(
    koop: KoopServer, output: Output, tmp_path: Path
) -> None:
    """The process is killed at moments spread over the work that is left, and begun again, until it ends by itself."""
    unharmed = Output(str(tmp_path / "unharmed"))
    await ingest(unharmed, koop.address, DAYS)
    koop.faults.latency_s = 0.02
    rng = random.Random(SEED)
    kills, parts_seen = 0, 0
    while kills < KILLS:
        asked = len(koop.requests)
        process = start(output, koop)
        wanted = rng.randint(1, 12)  # requests: so far does this life come
        while process.poll() is None and len(koop.requests) - asked < wanted:
            await asyncio.sleep(0.002)
        await asyncio.sleep(rng.random() * 0.05)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        parts_seen += any(path.startswith("_parts/") for path in output.list())
    last = start(output, koop)
    assert await asyncio.to_thread(last.wait, 120) == 0
    assert kills == KILLS
    assert parts_seen > KILLS / 4
    assert everything(output) == everything(unharmed)
    for day in DAYS:
        identifiers = [row["identifier"] for row in rows(output, "publications", day)]
        assert len(identifiers) == len(set(identifiers)) == DECISIONS[day]
        assert json.loads(output.read_bytes(f"manifests/date={day}.json") or b"")["complete"]


class Dies(Output):
    """Fails from the given change on, counted from when a day begins to be finished; `changes` are how many came."""

    def __init__(self, url: str, after: int) -> None:
        super().__init__(url)
        self._after, self._finishing = after, False
        self.changes = 0

    def write_bytes(self, path: str, data: bytes | memoryview) -> int:
        self._change()
        return super().write_bytes(path, data)

    def delete(self, path: str) -> None:
        self._finishing = self._finishing or path.startswith("manifests/")
        self._change()
        super().delete(path)

    def _change(self) -> None:
        self.changes += self._finishing
        if self.changes > self._after:
            raise RuntimeError("killed")


async def test_interrupted_at_any_change_of_the_finish(koop: KoopServer, tmp_path: Path) -> None:
    unharmed = Output(str(tmp_path / "unharmed"))
    await ingest(unharmed, koop.address, [NEXT])
    interrupted = 0
    for after in range(0, 1_000, 4):
        output = Output(str(tmp_path / str(after)))
        _, run = await ingest(Dies(output.url, after), koop.address, [NEXT])
        if not run.failed:
            break
        interrupted += 1
        _, run = await ingest(output, koop.address, [NEXT])
        assert run.ok
        assert everything(output) == everything(unharmed), after
    assert interrupted > 4


async def test_parts_of_a_complete_day_are_removed(koop: KoopServer, output: Output) -> None:
    await ingest(output, koop.address, [NEXT])
    before = everything(output)
    output.write_bytes(f"_parts/{NEXT}.0123456789abcdef.left.publications.parquet", b"half")
    await ingest(output, koop.address, [NEXT])
    assert everything(output) == before
