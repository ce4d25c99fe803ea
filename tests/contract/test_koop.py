"""The ingestion of traffic decisions with the running application: the command line, its files and its exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from configs.project import PROJECT
from testbed.application import Application
from testbed.doubles.koop import KoopServer

DECISIONS = {date(2023, 5, 1): 7, date(2023, 5, 2): 0, date(2023, 5, 3): 5}
LONGEST_S = 240


@pytest.fixture(scope="module")
def koop() -> Iterator[KoopServer]:
    with KoopServer(DECISIONS, seed=3) as server:
        yield server


def ingested(
    panoptes: Application, koop: KoopServer, *more: str, through: tuple[str, ...] = ()
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command for all days; `through` may be a command that starts it."""
    env = {
        **os.environ,
        **panoptes.joining,
        "KOOP_SRU_URL": f"{koop.address}/sru",
        "KOOP_SITE_URL": koop.address,
        "KOOP_ATTACHMENTS_URL": f"{koop.address}/externebijlagen",
    }
    days = (f"--start={min(DECISIONS)}", f"--end={max(DECISIONS)}", "--rate=100")
    command = [*through, sys.executable, "-m", "jobs.koop.ingest", *days, *more]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def output(panoptes: Application, koop: KoopServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("koop")
    status, out, err = ingested(panoptes, koop, f"--output={folder}")
    assert status == 0, err
    assert "Traceback" not in err
    assert "Decisions: 12, 4.0 a day" in out
    assert "Pictures are classified by bundled/clip-scenes-v1." in out
    assert "bundled weights" in err
    assert "3/3 days · 12 decisions" in err
    return folder


def truth(koop: KoopServer) -> dict[tuple[str, str, int | None], str]:
    """What each picture shows, by publication, name and page."""
    drawn: dict[tuple[str, str, int | None], str] = {}
    for day in DECISIONS:
        for one in koop.collection.decisions(day):
            for picture in one.pictures:
                drawn[one.identifier, picture.name, None] = koop.drawings.category(picture.number)
            for attachment in one.attachments:
                for page, number in enumerate(attachment.pages, 1):
                    drawn[one.identifier, attachment.filename, page] = koop.drawings.category(number)
    return drawn


def images(output: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.dataset(output / "images", partitioning="hive").to_table().to_pylist()
    return rows


def test_maps_are_kept_and_everything_has_its_row(koop: KoopServer, output: Path) -> None:
    drawn, rows = truth(koop), images(output)
    assert {(row["publication"], row["name"], row["page"]) for row in rows} == set(drawn)
    assert len(rows) == len(drawn)
    wrong = [
        (row["name"], row["page"], row["category"])
        for row in rows
        if row["category"] != drawn[row["publication"], row["name"], row["page"]]
    ]
    assert len(wrong) <= 0.05 * len(rows), wrong
    assert {row["kept"] for row in rows if row["kept"]} == {
        str(path.relative_to(output)) for path in output.glob("kept/*/*")
    }
    assert all((row["outcome"] == "kept") == row["is_map_or_aerial"] for row in rows)
    assert {(row["weights"], row["bundled"]) for row in rows} == {("bundled/clip-scenes-v1", True)}
    assert {len(row["embedding"]) for row in rows} == {512}
    publications = ds.dataset(output / "publications", partitioning="hive").to_table()
    assert publications.num_rows == sum(DECISIONS.values())
    manifests = [json.loads(path.read_text()) for path in sorted(output.glob("manifests/*"))]
    assert [(one["date"], one["complete"]) for one in manifests] == [(str(day), True) for day in DECISIONS]
    assert "data:image/jpeg" in (output / "report.html").read_text()
    assert not list(output.glob("_parts/*"))


def test_a_second_run_requests_nothing(panoptes: Application, koop: KoopServer, output: Path) -> None:
    asked, before = len(koop.requests), {path: path.stat().st_mtime_ns for path in output.glob("images/*/*")}
    status, out, _ = ingested(panoptes, koop, f"--output={output}")
    assert status == 0
    assert "0 days to do, 3 complete already" in out
    assert len(koop.requests) == asked
    assert {path: path.stat().st_mtime_ns for path in output.glob("images/*/*")} == before


def test_changed_options_redo_a_day_and_say_why(panoptes: Application, koop: KoopServer, output: Path) -> None:
    status, out, err = ingested(panoptes, koop, f"--output={output}", "--filter=maps", "--days-in-flight=1")
    assert status == 0, err
    assert "2023-05-01 is done again: made with keep 'maps-and-aerial' → 'maps'" in out
    assert {row["category"] for row in images(output) if row["kept"]} == {"maps"}


def test_the_ingestion_runs_as_a_submitted_job(panoptes: Application, koop: KoopServer, tmp_path: Path) -> None:
    ray = str(Path(sys.executable).parent / "ray")
    addresses = (
        f"--sru-url={koop.address}/sru",
        f"--site-url={koop.address}",
        f"--attachments-url={koop.address}/externebijlagen",
        "--max-records=2",
    )
    submit = (ray, "job", "submit", "--", "env", f"PYTHONPATH={PROJECT}")
    status, out, err = ingested(panoptes, koop, f"--output={tmp_path}", *addresses, through=submit)
    assert status == 0, out + err
    assert "Decisions: 4, 1.3 a day" in out
    assert len(list(tmp_path.glob("manifests/*.json"))) == 3


def test_an_application_that_does_not_run_is_an_error(panoptes: Application, koop: KoopServer, tmp_path: Path) -> None:
    status, _, err = ingested(panoptes, koop, f"--output={tmp_path}", "--application=other")
    assert status == 2
    assert err.startswith("The Ray cluster here runs no application 'other'. It runs")
    assert "make serve" in err
    assert err.count("\n") == 1
