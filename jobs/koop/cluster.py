"""The job on a Ray cluster: a task for each day, the running application's CLIP, and one place that hears of it all."""

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import ray
from ray import serve

from configs.prompts import CATEGORIES, load_prompts
from deployments.pictures.pixels import Pixels
from jobs.koop.arguments import Arguments
from jobs.koop.classifier import Classifier, Floats
from jobs.koop.day import Counts, Services, run_day
from jobs.koop.day_files import Manifest
from jobs.koop.fetching.cluster_pace import ClusterPace
from jobs.koop.fetching.documents import Documents
from jobs.koop.fetching.web import Retry, Web
from jobs.koop.options import Asked
from jobs.koop.search.sru import Sru
from jobs.runtime.asking import Asker
from jobs.runtime.output import Output

# A task waits for others nearly all of the time; four of them fit beside the application on two cores.
TASK_CPUS = 0.02
LOST_WORKERS = 3
TELL_EVERY_S = 0.5


@dataclass(frozen=True)
class Job:
    """What every task of a run needs; it is pickled.

    Args:
        arguments: the command line.
        output: its folder; a relative path is one of the driver's.
        prompt_set: of configs/prompts.yaml.
        max_batch: pictures a call.
    """

    arguments: Arguments
    output: Output
    prompt_set: str
    max_batch: int


class ServedClip:
    """The application's CLIP through its handle; every call may raise what `Asker.ask` raises."""

    def __init__(self, application: str, prompt_set: str) -> None:
        prompts = load_prompts().classifier[prompt_set]
        self._prompts = tuple(prompts[category] for category in CATEGORIES)
        handle: Any = serve.get_deployment_handle("ServedClip", application)
        # A large batch does not fit into a message.
        self._handle = handle.options(_by_reference=True)
        self._asker = Asker()

    async def asked(self) -> Asked:
        """What is asked now."""
        weights = await self._asker.ask("ServedClip", self._handle.weights.remote)
        return Asked(weights.id, weights.source == "bundled", weights.image.size, self._prompts)

    async def score(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """As `classifier.Score` says."""
        classes = [list(prompts) for prompts in self._prompts]
        scores = await self._asker.ask("ServedClip", lambda: self._handle.score.remote(pixels, classes))
        return np.asarray(scores.vectors), np.asarray(scores.logits)


class Board:
    """Where the tasks write how far they are; an actor that the driver reads."""

    def __init__(self) -> None:
        self._counts: dict[date, Counts] = {}

    def tell(self, day: date, counts: Counts) -> None:
        """How far a day is now."""
        self._counts[day] = counts

    def read(self) -> dict[date, Counts]:
        """Every day that was told of."""
        return self._counts


class Reports:
    """Tells a board how far a day is, not more often than twice a second."""

    def __init__(self, board: Any, day: date) -> None:
        self._board, self._day = board, day
        self._at = 0.0

    def tell(self, counts: Counts) -> None:
        """Unless it was told a moment ago."""
        moment = asyncio.get_running_loop().time()
        if moment - self._at >= TELL_EVERY_S:
            self._at = moment
            self._board.tell.remote(self._day, counts)


async def ingest(job: Job, day: date, board: Any) -> Manifest:
    """Do a day in this process."""
    arguments, retries = job.arguments, list[Retry]()
    clip = ServedClip(arguments.application, job.prompt_set)
    pace = ClusterPace(arguments.rate, arguments.burst)
    async with Web(arguments.endpoints, pace, on_retry=retries.append) as web:
        services = Services(
            sru=Sru(web, arguments.endpoints.sru),
            documents=Documents(web, arguments.endpoints),
            classifier=Classifier(clip.score, job.max_batch),
            asked=clip.asked,
            retries=retries,
        )
        reports = Reports(board, day)
        return await run_day(day, arguments.options, services, job.output, reports.tell)


@ray.remote(num_cpus=TASK_CPUS, max_retries=LOST_WORKERS)
def ingest_day(job: Job, day: date, board: Any) -> Manifest:
    """Do a day in a worker of the cluster; the task is run again when its worker is lost."""
    return asyncio.run(ingest(job, day, board))
