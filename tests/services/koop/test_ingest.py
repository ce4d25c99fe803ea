"""Ingesting days from the double of KOOP into files: complete, each record once, whatever fails on the way."""

import asyncio
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from PIL import Image

from jobs.koop import day as day_module
from jobs.koop import day_files, tables
from jobs.koop.day_files import read_manifest
from jobs.koop.driver import Run
from jobs.koop.ingest import run
from jobs.koop.options import Asked, Options
from jobs.koop.search.query import Selection
from jobs.koop.summary import write_report
from jobs.koop.tables import Row
from jobs.runtime.output import Output
from testbed.doubles.koop import Fault, KoopServer, Rule
from testbed.doubles.koop_worker import ASKED, Lots, ingest, rows
from tests.services.koop.days import DAY, DAYS, DECISIONS, EMPTY, NEXT, everything, files, named


async def test_every_picture_of_every_decision_has_its_row(small_koop: KoopServer, output: Output) -> None:
    _, done = await ingest(output, small_koop.address, DAYS)
    assert done.ok
    for day in DAYS:
        publications, images = rows(output, "publications", day), rows(output, "images", day)
        decisions = {one.identifier: one for one in small_koop.collection.decisions(day)}
        assert [row["identifier"] for row in publications] == sorted(decisions)
        assert Counter((row["publication"], row["name"], row["page"]) for row in images) == named(small_koop, day)
        for row in publications:
            truth = decisions[row["identifier"]]
            assert row["title"] == truth.title
            assert row["sign_codes"] == list(truth.sign_codes)
            assert [(area["wkt"], area["problem"]) for area in row["areas"]] == [(a.wkt, None) for a in truth.areas]
            assert all(3 < area["longitude"] < 8 and 50 < area["latitude"] < 54 for area in row["areas"])
            kinds = [json.loads(area["geojson"])["type"].upper() for area in row["areas"]]
            assert kinds == [area["wkt"].partition("(")[0].strip() for area in row["areas"]]
            assert [attached["number"] for attached in row["attachments"]] == [a.exb for a in truth.attachments]
            codes = [value["text"] for value in row["metadata"] if value["field"] == "verkeersbordcode"]
            assert codes == list(truth.sign_codes)
    manifest = read_manifest(output, DAY)
    assert manifest is not None
    assert manifest["complete"] is True
    assert manifest["counts"]["records"] == DECISIONS[DAY]
    assert manifest["weights"] == {"id": "test/lots", "bundled": True}
    assert read_manifest(output, EMPTY)["counts"] == {"found": 0, "stated": 0, "records": 0, "images": 0}  # type: ignore[index]


async def test_exactly_the_kept_pictures_are_stored(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, DAYS)
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


async def test_the_tables_are_a_partitioned_dataset(small_koop: KoopServer, tmp_path: Path) -> None:
    await ingest(Output(str(tmp_path)), small_koop.address, DAYS)
    images = ds.dataset(tmp_path / "images", partitioning="hive").to_table(columns=["date", "publication"])
    assert set(images["date"].to_pylist()) == {str(day) for day in DAYS if DECISIONS[day]}
    assert images.num_rows == sum(named(small_koop, day).total() for day in DAYS)


async def test_a_second_run_requests_nothing_and_force_redoes_everything(
    small_koop: KoopServer, output: Output
) -> None:
    await ingest(output, small_koop.address, DAYS)
    before, asked = everything(output), len(small_koop.requests)
    plan, done = await ingest(output, small_koop.address, DAYS)
    assert (plan.todo, done.manifests) == ((), {})
    assert len(small_koop.requests) == asked
    plan, done = await ingest(output, small_koop.address, DAYS, force=True)
    assert plan.todo == tuple(DAYS)
    assert len(small_koop.requests) == 2 * asked
    assert everything(output) == before


async def test_a_forced_day_is_redone_although_its_first_try_fails(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, [NEXT])
    asked = len(small_koop.requests)
    small_koop.faults.rules.append(Rule(Fault.BROKEN, path="/sru", nth=range(1, 7)))
    _, done = await ingest(output, small_koop.address, [NEXT], force=True)
    assert done.ok
    assert len(small_koop.requests) == 2 * asked + 6


async def test_changed_options_redo_a_day_and_leave_no_old_files(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, [DAY])
    both = {row["kept"] for row in rows(output, "images", DAY) if row["kept"]}
    plan, done = await ingest(output, small_koop.address, [DAY], replace(Options(), keep="maps"))
    assert plan.again == {DAY: "made with keep 'maps-and-aerial' → 'maps'"}
    maps = {row["kept"] for row in rows(output, "images", DAY) if row["category"] == "maps" and row["kept"]}
    assert maps
    assert maps < both
    assert {path for path in files(output) if path.startswith("kept/")} == maps
    assert {row["category"] for row in rows(output, "images", DAY) if row["outcome"] == "kept"} == {"maps"}
    assert done.ok


async def test_other_weights_redo_a_day(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, [NEXT])
    lots = Lots()
    lots.asked_for = replace(ASKED, weights="test/other", bundled=False)
    plan, _ = await ingest(output, small_koop.address, [NEXT], lots=lots)
    assert "weights 'test/lots' → 'test/other'" in plan.again[NEXT]
    assert {(row["weights"], row["bundled"]) for row in rows(output, "images", NEXT)} == {("test/other", False)}


async def test_weights_that_change_during_a_try_fail_it(small_koop: KoopServer, output: Output) -> None:
    class Changing(Lots):
        asks = 0

        async def asked(self) -> Asked:
            self.asks += 1
            return replace(ASKED, weights="test/new") if self.asks > 2 else ASKED  # the plan, the day's beginning

    _, done = await ingest(output, small_koop.address, [NEXT], lots=Changing())
    assert done.ok
    assert {row["weights"] for row in rows(output, "images", NEXT)} == {"test/new"}


async def test_small_files_long_pdfs_and_few_records(small_koop: KoopServer, output: Output) -> None:
    options = Options(min_bytes=3_000, max_pages=1, max_records=DECISIONS[DAY] - 1)
    _, done = await ingest(output, small_koop.address, [DAY], options)
    images = rows(output, "images", DAY)
    assert len(rows(output, "publications", DAY)) == DECISIONS[DAY] - 1
    assert done.manifests[DAY]["left_out"] == {"after the most records": 1}
    small = [row for row in images if row["outcome"] == "small"]
    assert small
    assert all(row["bytes"] < 3_000 and row["sha256"] is None and row["error"] for row in small)
    assert all(row["page"] in (None, 1) for row in images)
    long = [row for row in images if row["outcome"] == "unusable"]
    assert all("of which the first 1 were looked at" in row["error"] for row in long)
    assert long


async def test_a_selection_is_stored_in_the_manifest(small_koop: KoopServer, output: Output) -> None:
    name = small_koop.collection.decisions(DAY)[0].creators[0]
    selection = (
        Selection(provinces=(name.name,)) if name.kind == "Provincie" else Selection(municipalities=(name.name,))
    )
    _, done = await ingest(output, small_koop.address, [DAY], Options(selection=selection))
    chosen = rows(output, "publications", DAY)
    assert 0 < len(chosen) < DECISIONS[DAY]
    assert all(name.name in {creator["name"] for creator in row["creators"]} for row in chosen)
    manifest = done.manifests[DAY]
    assert manifest["deciders"] == [name.name]
    assert manifest["left_out"] == {"decided elsewhere": DECISIONS[DAY] - len(chosen)}


async def test_missing_files_have_a_row_with_the_reason(small_koop: KoopServer, output: Output) -> None:
    with_pictures = [one for one in small_koop.collection.decisions(DAY) if one.pictures]
    lost, textless = with_pictures[0].pictures[0].name, with_pictures[1].identifier
    small_koop.faults.rules += [
        Rule(Fault.HTML, path=f"/{lost}$"),
        Rule(Fault.LOOP, path=f"/{textless}[.]xml$"),
    ]
    _, done = await ingest(output, small_koop.address, [DAY])
    images = rows(output, "images", DAY)
    (row,) = [row for row in images if row["name"] == lost]
    assert (row["outcome"], row["category"], row["kept"]) == ("unusable", None, None)
    assert "HTML" in row["error"]
    (row,) = [row for row in images if row["publication"] == textless and row["source"] == "document"]
    assert row["outcome"] == "missing"
    manifest = done.manifests[DAY]
    assert manifest["complete"]
    assert manifest["counts"]["missing"] == 1
    assert {error["name"] for error in manifest["errors"]} == {lost, f"{textless}.xml"}
    assert len(rows(output, "publications", DAY)) == DECISIONS[DAY]


async def test_only_unreachable_files_are_requested_again_and_keep_the_day_open(
    small_koop: KoopServer, output: Output
) -> None:
    decision = next(one for one in small_koop.collection.decisions(DAY) if one.pictures)
    rule = Rule(Fault.UNAVAILABLE, path=f"/{decision.pictures[0].name}$")
    small_koop.faults.rules.append(rule)
    _, done = await ingest(output, small_koop.address, [DAY])
    assert done.manifests[DAY]["reasons"] == ["1 files could not be fetched"]
    assert not done.ok
    assert done.manifests[DAY]["retries"] >= 5
    small_koop.faults.rules.remove(rule)
    asked, lots = len(small_koop.requests), Lots()
    plan, done = await ingest(output, small_koop.address, [DAY], lots=lots)
    assert plan.again == {DAY: "incomplete: 1 files could not be fetched"}
    assert done.ok
    pictures = sum(key[0] == decision.identifier for key in named(small_koop, DAY))
    assert lots.pictures == pictures
    assert len(small_koop.requests) - asked <= 4 + len(decision.pictures) + 2 * len(decision.attachments)
    assert Counter((row["publication"], row["name"], row["page"]) for row in rows(output, "images", DAY)) == named(
        small_koop, DAY
    )


async def test_a_search_that_gives_too_few_leaves_the_day_open(small_koop: KoopServer, output: Output) -> None:
    small_koop.faults.rules.append(Rule(Fault.MISCOUNTED, path="/sru"))
    _, done = await ingest(output, small_koop.address, [NEXT])
    assert done.manifests[NEXT]["reasons"] == ["the search told 7 records and gave 6"]
    assert len(rows(output, "publications", NEXT)) == DECISIONS[NEXT]


async def test_a_day_that_is_not_over_is_never_complete(
    small_koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_module, "is_over", lambda day, moment: False)
    _, done = await ingest(output, small_koop.address, [NEXT])
    assert done.manifests[NEXT]["complete"] is False
    assert done.ok
    plan, _ = await ingest(output, small_koop.address, [NEXT])
    assert plan.again == {NEXT: "incomplete: the day was not over"}


async def test_a_failed_search_fails_only_its_day(small_koop: KoopServer, output: Output) -> None:
    small_koop.faults.rules.append(Rule(Fault.BROKEN, path="/sru", query=str(DAY)))
    _, done = await ingest(output, small_koop.address, DAYS)
    assert set(done.manifests) == {EMPTY, NEXT}
    assert "status 500" in done.failed[DAY]
    assert not done.ok


async def test_a_tenth_of_all_requests_fails_and_nothing_is_lost(small_koop: KoopServer, output: Output) -> None:
    await ingest(output, small_koop.address, DAYS)
    unharmed = everything(output)
    small_koop.faults.fail_rate = 0.1
    _, done = await ingest(output, small_koop.address, DAYS, force=True)
    assert done.ok
    assert done.manifests[DAY]["retries"] > 0
    assert everything(output) == unharmed


async def test_results_before_the_classifier_failed_are_kept(
    small_koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_module, "PICTURES_AT_ONCE", 4)  # so that 16 of the day's 25 are not all

    class Fails(Lots):
        async def classify(self, pixels: Any) -> Any:
            if self.pictures > 16:
                await asyncio.sleep(0.2)  # the results from before the failure are written
                raise TimeoutError("away")
            return await super().classify(pixels)

    away = Fails()
    _, done = await ingest(output, small_koop.address, [DAY], lots=away)
    assert done.failed == {DAY: "away"}
    assert output.list("images") == []
    lots = Lots()
    await ingest(output, small_koop.address, [DAY], lots=lots)
    assert lots.pictures < named(small_koop, DAY).total()
    assert Counter((row["publication"], row["name"], row["page"]) for row in rows(output, "images", DAY)) == named(
        small_koop, DAY
    )


async def test_an_embedding_is_an_array_until_it_is_written(
    small_koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = list[Any]()

    def watched(images: list[Row], day: date) -> pa.Table:
        held.extend(row["embedding"] for row in images if "embedding" in row)
        return tables.image_table(images, day)

    monkeypatch.setattr(day_files, "image_table", watched)
    await ingest(output, small_koop.address, [NEXT])
    assert held
    assert all(isinstance(embedding, np.ndarray) and embedding.dtype == np.float32 for embedding in held)
    stored = [row["embedding"] for row in rows(output, "images", NEXT) if row["embedding"]]
    assert sorted(stored) == sorted(embedding.tolist() for embedding in held)


async def test_pictures_in_memory_are_bounded(
    small_koop: KoopServer, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_module, "PICTURES_AT_ONCE", 5)
    most = 0

    class Counting(Lots):
        async def classify(self, pixels: Any) -> Any:
            nonlocal most
            most = max(most, len(pixels))
            await asyncio.sleep(0.02)
            return await super().classify(pixels)

    lots = Counting()
    await ingest(output, small_koop.address, [DAY], lots=lots)
    assert 1 < most <= 5
    assert lots.calls < lots.pictures


async def test_the_report_shows_kept_and_rejected_pictures(small_koop: KoopServer, output: Output) -> None:
    _, done = await ingest(output, small_koop.address, DAYS)
    done.failed[date(2023, 3, 4)] = "<b>the search</b> is away"
    write_report(output, done, ASKED, ["Bundled weights."])
    report = (output.read_bytes("report.html") or b"").decode()
    for word in ("Kept", "Not kept", "data:image/jpeg;base64,", "2023-03-01", "Bundled weights.", "3 of 4", "<circle"):
        assert word in report
    assert "&lt;b&gt;the search" in report
    assert report.count("<figure") >= 8


async def test_an_empty_run_has_a_report(output: Output) -> None:
    write_report(output, Run(failed={DAY: "away"}), ASKED, [])
    assert b"away" in (output.read_bytes("report.html") or b"")


def test_a_dry_run_counts_and_writes_nothing(
    small_koop: KoopServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KOOP_SRU_URL", f"{small_koop.address}/sru")
    days = ["--start", str(DAY), "--end", str(NEXT)]
    assert run([*days, "--dry-run", "--max-records=10"]) == 0
    attachments = sum(len(one.attachments) for one in small_koop.collection.decisions(NEXT))
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{EMPTY}: 0 found, 0 taken, 0 attachments",
        f"{NEXT}: 6 found, 6 taken, {attachments} attachments",
        "16 decisions on 3 days; nothing was written.",
    ]
    assert {request.path for request in small_koop.requests} == {"/sru"}
    assert list(tmp_path.iterdir()) == []
    small_koop.faults.rules.append(Rule(Fault.LOOP, path="/sru", query=str(DAY)))
    assert run([*days, "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert f"{DAY} failed: " in printed.err
    assert f"{NEXT}: 6 found" in printed.out
