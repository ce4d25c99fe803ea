"""The ingestion without Ray and without a model: days run in this process, and a double classifies their pictures."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np

from deployments.models.clip.answers import Classified
from deployments.models.clip.map_rule import decide
from deployments.models.clip.zero_shot import softmax
from deployments.pictures.pixels import Pixels
from jobs.koop import day as day_module
from jobs.koop.classifier import Classifier
from jobs.koop.day import Counts, Services, run_day
from jobs.koop.day_files import Manifest, forget, remove_parts
from jobs.koop.driver import COLUMNS, Driver, IngestionPlan, Run, plan
from jobs.koop.fetching.documents import Documents
from jobs.koop.fetching.pace import LocalPace, TokenBucket
from jobs.koop.fetching.web import Limits, Retry, Web
from jobs.koop.options import Asked, Options
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.sru import Sru
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress

ASKED = Asked("test/lots", bundled=True, size=32, prompts=(("maps",), ("aerial",), ("other",)))
QUICK = Limits(tries=6, first_delay_s=0.01, longest_delay_s=0.1, timeout_s=10)


def by_lot(pixels: Pixels) -> Classified:
    """Answers that follow from the pixels: embeddings are mean colours, and the sum of the pixels gives the category."""
    vectors = pixels.reshape(len(pixels), -1, 3).mean(axis=1, dtype=np.float64).astype(np.float32)
    drawn = pixels.reshape(len(pixels), -1).sum(axis=1, dtype=np.int64) % 3
    found = softmax(4 * np.eye(3, dtype=np.float32)[drawn])
    return Classified([decide(row) for row in found.tolist()], vectors)


class Lots:
    """A double of the classifier, which counts its calls and their pictures; tests override `asked` and `classify`."""

    def __init__(self) -> None:
        self.calls = self.pictures = 0
        self.asked_for = ASKED

    async def asked(self) -> Asked:
        """What it says of its weights and prompts."""
        return self.asked_for

    async def classify(self, pixels: Pixels) -> Classified:
        """Decisions and embeddings (n, 3), in place of CLIP's."""
        self.calls += 1
        self.pictures += len(pixels)
        await asyncio.sleep(0.002)
        return by_lot(pixels)


async def ingest(
    output: Output,
    url: str,
    days: Sequence[date],
    options: Options | None = None,
    *,
    lots: Lots | None = None,
    force: bool = False,
    limits: Limits = QUICK,
) -> tuple[IngestionPlan, Run]:
    """Plan the days of a KOOP at `url`, and ingest those that the plan has to do."""
    options, lots = options or Options(), lots or Lots()
    endpoints = Endpoints(f"{url}/sru", url, f"{url}/externebijlagen")
    pace = LocalPace(TokenBucket(1e6, 1_000_000))

    async def work(day: date) -> Manifest:
        retries: list[Retry] = []
        async with Web(endpoints, pace, limits, on_retry=retries.append) as web:
            services = Services(
                sru=Sru(web, endpoints.sru, page_size=5),
                documents=Documents(web, endpoints),
                classifier=Classifier(lots.classify, 16),
                asked=lots.asked,
                retries=retries,
            )
            return await run_day(day, options, services, output, lambda _: None)

    async def read_board() -> dict[date, Counts]:
        return {}

    planned = await plan(output, days, options, await lots.asked(), force=force)
    remove_parts(output, planned.complete)
    with Progress(COLUMNS, len(planned.todo)) as progress:
        driver = Driver(work, read_board, progress, at_once=2)
        run = await driver.run(planned.todo, partial(forget, output) if force else None)
    return planned, run


def rows(output: Output, table: str, day: date) -> list[dict[str, Any]]:
    """A table of a finished day, `publications` or `images`."""
    found = output.read_table(f"{table}/date={day}/{table}.parquet")
    assert found is not None, f"there are no {table} of {day}"
    listed: list[dict[str, Any]] = found.to_pylist()
    return listed


def work(folder: str, url: str, days: Sequence[date]) -> None:
    """The body of a process to be killed: writes small parts, and exits with 0 when every day is complete."""
    day_module.PART_PUBLICATIONS = 2
    _, run = asyncio.run(ingest(Output(folder), url, days))
    sys.exit(0 if run.ok else 1)
