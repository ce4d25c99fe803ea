"""The ingestion of traffic decisions end to end, compared with its download and its classification alone.

    python -m benchmarks.sections.koop

A KOOP on loopback answers after 150 ms to 45 requests/s: 30 days of 100 decisions with 2 pictures each on average. The
download alone fetches the same files with the same client and discards them; the classification alone sends as many
pictures through the same handle, and neither fetches nor decodes. Then a job of fewer days, in which a tenth of the
requests fails. About twelve minutes.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from benchmarks import cli, report
from configs.project import PROJECT
from jobs.koop.driver import days_between
from testbed.application import Application, only
from testbed.doubles.koop import Drawings, KoopServer, Richness
from testbed.processes import free_port, process_title, pss_bytes

FIRST = date(2023, 1, 1)
PICTURES = Richness(others=0, pictures=4, attached=0.0)  # none to four, two on average
LATENCY_S = 0.15
RATE = 45
IN_FLIGHT = 4
FAIL_RATE = 0.1
TARGET = 1.15
SAMPLE_EVERY_S = 1.0


@dataclass
class IngestionMeasurements:
    """What was measured; `*_s` are seconds.

    Attributes:
        memory: in order of time the number of finished days, and the bytes of the driver and its workers then.
        faulty_s, faulty_retries: of the job with failing requests.
        lost: decisions and pictures that were lost or came twice, in both jobs.
    """

    pictures: int = 0
    download_s: float = 0.0
    classification_s: float = 0.0
    job_s: float = 0.0
    memory: list[tuple[int, int]] = field(default_factory=list)
    faulty_s: float = 0.0
    faulty_retries: int = 0
    lost: int = 0

    @property
    def ratio(self) -> float:
        """The job's time divided by that of the longer of its two halves."""
        return self.job_s / max(self.download_s, self.classification_s)

    def memory_after(self, days: int) -> float:
        """MB: the mean of the samples from `days` finished days until five more; not a number without samples."""
        found = [size for done, size in self.memory if days <= done < days + 5]
        return sum(found) / len(found) / 1e6 if found else float("nan")


def main() -> None:
    """Measure, print the section, and write it when the sizes are the default ones."""
    parser = cli.parser(__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--faulty-days", type=int, default=5)
    parser.add_argument("--decisions", type=int, default=100, help="on each day")
    parser.add_argument("--download", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--classify", type=int, metavar="PICTURES", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.download or options.classify:
        half = download(options.download, days_of(options.days)) if options.download else classify(options.classify)
        print(json.dumps(asyncio.run(half)))
        return
    figures = measure(options)
    section = render(options, figures)
    print(section)
    if (options.days, options.faulty_days, options.decisions) == (30, 5, 100):
        report.update_section("koop", section)


def days_of(count: int) -> list[date]:
    """The days of the benchmark."""
    return days_between(FIRST, FIRST + timedelta(days=count - 1))


def measure(options: argparse.Namespace) -> IngestionMeasurements:
    """Measure everything with one application."""
    figures = IngestionMeasurements()
    days = days_of(options.days)
    env = only("clip") | {"WEIGHTS": "bundled"}
    decisions = dict.fromkeys(days, options.decisions)
    koop = KoopServer(decisions, richness=PICTURES, drawings=Drawings(count=40, side=(180, 300)))
    with koop, Application(free_port(), env) as panoptes, tempfile.TemporaryDirectory() as folder:
        for number in range(koop.drawings.count):
            for suffix in ("png", "jpg"):
                koop.drawings.image(number, suffix, "drawn before anything is measured")
        koop.faults.latency_s = LATENCY_S
        figures.pictures = sum(len(one.pictures) for day in days for one in koop.collection.decisions(day))
        note("the classification alone")
        figures.classification_s = alone(panoptes, f"--classify={figures.pictures}")
        note("the download alone")
        figures.download_s = alone(panoptes, f"--download={koop.address}", f"--days={len(days)}")
        note("the job")
        output = Path(folder, "job")
        with sampled(figures, panoptes, output):
            figures.job_s = job(panoptes, koop, days, output)
        figures.lost = lost(koop, days, output)
        note(f"the job, {FAIL_RATE:.0%} of its requests fail")
        koop.faults.fail_rate = FAIL_RATE
        faulty, output = days[: options.faulty_days], Path(folder, "faulty")
        figures.faulty_s = job(panoptes, koop, faulty, output)
        figures.lost += lost(koop, faulty, output)
        manifests = [json.loads(path.read_text()) for path in output.glob("manifests/*")]
        figures.faulty_retries = sum(manifest["retries"] for manifest in manifests)
    return figures


def note(what: str) -> None:
    """Print what is measured now."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def job(panoptes: Application, koop: KoopServer, days: Sequence[date], output: Path) -> float:
    """Run the job; seconds from its first request to its end."""
    koop.requests.clear()
    command = [sys.executable, "-m", "jobs.koop.ingest", f"--start={days[0]}", f"--end={days[-1]}"]
    command += [f"--output={output}", f"--rate={RATE}", f"--days-in-flight={IN_FLIGHT}"]
    command += [f"--sru-url={koop.address}/sru", f"--site-url={koop.address}"]
    subprocess.run(command, cwd=PROJECT, env=environment(panoptes), check=True, stdout=sys.stderr)
    return time.monotonic() - min(request.at for request in koop.requests)


def alone(panoptes: Application, *half: str) -> float:
    """Run one half in a process of its own; its seconds."""
    command = [sys.executable, "-m", "benchmarks.sections.koop", *half]
    done = subprocess.run(command, cwd=PROJECT, env=environment(panoptes), check=True, stdout=subprocess.PIPE)
    seconds: float = json.loads(done.stdout)
    return seconds


def environment(panoptes: Application) -> dict[str, str]:
    """The environment of a process that joins the application's cluster."""
    return os.environ | panoptes.joining


async def download(url: str, days: Sequence[date]) -> float:
    """Seconds to fetch everything as the job does, as many days and publications at a time, and to discard it."""
    from jobs.koop.day import PUBLICATIONS_AT_ONCE
    from jobs.koop.fetching.documents import Documents
    from jobs.koop.fetching.pace import BURST, LocalPace, TokenBucket
    from jobs.koop.fetching.web import Web
    from jobs.koop.search.endpoints import Endpoints
    from jobs.koop.search.query import Selection
    from jobs.koop.search.sru import Sru

    endpoints = Endpoints(f"{url}/sru", url)
    pace, left = LocalPace(TokenBucket(RATE, BURST)), iter(days)

    async def one_by_one() -> None:
        for day in left:
            async with Web(endpoints, pace) as web:
                found = await Sru(web, endpoints.sru).find(Selection().cql(day))
                records = iter(found.records)
                await asyncio.gather(*(fetch(web, records) for _ in range(PUBLICATIONS_AT_ONCE)))

    async def fetch(web: Web, records: Iterator[Any]) -> None:
        documents = Documents(web, endpoints)
        for record in records:
            async for _ in documents.files(record):
                pass

    started = time.perf_counter()
    await asyncio.gather(*(one_by_one() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


async def classify(count: int) -> float:
    """Seconds to classify so many pictures, with as many callers, and pictures in a call, as the job has at most."""
    import numpy as np

    from configs.settings import load_settings
    from deployments.models.clip.settings import ClipSettings
    from deployments.pictures.decoding import decode
    from deployments.pictures.preprocessing import fit
    from jobs.koop.cluster import ServedClip
    from jobs.runtime.running import APPLICATION, connect

    settings = load_settings()
    chosen = settings.of(ClipSettings)
    connect(APPLICATION).handle("Clip")
    clip = ServedClip(APPLICATION, chosen.prompt_set)
    size, drawings = (await clip.asked()).size, Drawings(count=chosen.max_batch)
    files = [drawings.image(number, "png", "") for number in range(drawings.count)]
    batch = np.stack([fit(decode(file, settings.limits.max_pixels), size) for file in files])
    await clip.classify(batch)  # warm-up
    calls = iter(range(0, count, len(batch)))

    async def ask() -> None:
        for start in calls:
            await clip.classify(batch[: count - start])

    started = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


def lost(koop: KoopServer, days: Sequence[date], output: Path) -> int:
    """The number of decisions and pictures without a row, with more than one, or without an answer."""
    publications = ds.dataset(output / "publications", partitioning="hive").to_table(columns=["identifier"])
    images = ds.dataset(output / "images", partitioning="hive").to_table(columns=["name", "outcome"]).to_pylist()
    decisions = [one for day in days for one in koop.collection.decisions(day)]
    answered = [row["name"] for row in images if row["outcome"] in ("kept", "dropped")]
    expected = sorted(picture.name for one in decisions for picture in one.pictures)
    found = publications["identifier"].to_pylist()
    wrong = len(set(found) ^ {one.identifier for one in decisions}) + len(found) - len(set(found))
    return wrong + len(set(answered) ^ set(expected)) + len(answered) - len(set(answered))


@contextmanager
def sampled(figures: IngestionMeasurements, panoptes: Application, output: Path) -> Iterator[None]:
    """Sample the memory of the job's processes while it runs: the driver, a child of this process, and the workers."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            done = len(list(output.glob("manifests/*.json")))
            size = sum(pss_bytes(pid) for pid in job_processes(panoptes))
            if size:
                figures.memory.append((done, size))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def job_processes(panoptes: Application) -> list[int]:
    """The pids of the driver and of the workers that ingest days."""
    mine = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    titles = {pid: process_title(pid) for pid in [*map(int, mine), *panoptes.pids()]}
    return [pid for pid, title in titles.items() if re.search(r"jobs\.koop\.ingest|^ray::ingest_day", title)]


def render(options: argparse.Namespace, figures: IngestionMeasurements) -> str:
    """The section of RESULTS.md."""
    pictures, ends = figures.pictures, (0, max(0, options.days // 2 - 5), max(0, options.days - 5))
    memory = ", ".join(f"{figures.memory_after(days):.0f} MB after {days}" for days in ends)
    verdict = "reached" if figures.ratio <= TARGET else "missed"
    return "\n".join(
        [
            "## Ingestion of traffic decisions",
            "",
            f"{report.machine('ray', 'httpx', 'pyarrow')}. `python -m benchmarks.sections.koop --days {options.days} "
            f"--faulty-days {options.faulty_days} --decisions {options.decisions}`",
            "",
            f"{options.days} days of {options.decisions} decisions with {pictures:,} pictures, from a KOOP on loopback "
            f"whose answers take {LATENCY_S * 1000:.0f} ms, at {RATE} requests/s and {IN_FLIGHT} days in flight; "
            "bundled weights, everything on the same cores. The job's time is from its first request to its end, "
            "its report included.",
            "",
            "| | seconds | pictures/s |",
            "|---|--:|--:|",
            *(
                f"| {name} | {seconds:.1f} | {pictures / seconds:.1f} |"
                for name, seconds in (
                    ("download alone", figures.download_s),
                    ("classification alone", figures.classification_s),
                    ("the job", figures.job_s),
                )
            ),
            "",
            f"The job ÷ the longer half: {figures.ratio:.2f}, at most {TARGET}: {verdict}. Its driver and its workers "
            f"hold {memory} days. With a tenth of the requests failing, {options.faulty_days} days took "
            f"{figures.faulty_s:.0f} s and {figures.faulty_retries:,} further tries. Decisions or pictures that were "
            f"lost or came twice, in both runs: {figures.lost}.",
        ]
    )


if __name__ == "__main__":
    cli.run(main)
