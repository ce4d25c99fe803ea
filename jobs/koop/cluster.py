"""The job on a Ray cluster: one task per day, the CLIP of the running application, and an actor for the progress."""

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Any

import ray
from ray import serve

from configs.prompts import CATEGORIES, load_prompts
from deployments.models.clip.answers import Classified
from deployments.pictures.pixels import Pixels
from jobs.koop.arguments import Arguments
from jobs.koop.classifier import Classifier
from jobs.koop.day import Counts, Services, run_day
from jobs.koop.day_files import Manifest
from jobs.koop.fetching.cluster_pace import ClusterPace
from jobs.koop.fetching.documents import Documents
from jobs.koop.fetching.web import Retry, Web
from jobs.koop.options import Asked
from jobs.koop.search.sru import Sru
from jobs.runtime.asking import ModelCaller
from jobs.runtime.output import Output

# A task nearly always waits for KOOP or CLIP, so it reserves little; four fit beside the application on two cores.
TASK_CPUS = 0.02
LOST_WORKERS = 3
TELL_EVERY_S = 0.5


@dataclass(frozen=True)
class Job:
    """What all tasks of a run need; it is pickled.

    Args:
        arguments: the command line.
        output: the output folder; a relative path is relative to the driver's working directory.
        prompt_set: the name of a prompt set in configs/prompts.yaml.
        max_batch: pictures per call of CLIP.
    """

    arguments: Arguments
    output: Output
    prompt_set: str
    max_batch: int


class ServedClip:
    """Calls the application's CLIP through its handle. All calls may raise what `ModelCaller.ask` raises."""

    def __init__(self, application: str, prompt_set: str) -> None:
        self._prompt_set, prompts = prompt_set, load_prompts().classifier[prompt_set]
        self._prompts = tuple(prompts[category] for category in CATEGORIES)
        handle: Any = serve.get_deployment_handle("Clip", application)
        # A large batch does not fit into a message.
        self._handle = handle.options(_by_reference=True)
        self._asker = ModelCaller()

    async def asked(self) -> Asked:
        """The weights that CLIP serves now, and the prompts of this run."""
        [weights] = await self._asker.ask("Clip", self._handle.weights.remote)
        return Asked(weights.id, weights.source == "bundled", weights.image.size, self._prompts)

    async def classify(self, pixels: Pixels) -> Classified:
        """Classify pictures by the map rule, and embed them."""
        ask = self._handle.classify.remote
        found: Classified = await self._asker.ask("Clip", lambda: ask(pixels, self._prompt_set, vectors=True))
        return found


class Board:
    """The progress of all tasks: an actor to which the tasks write, and from which the driver reads."""

    def __init__(self) -> None:
        self._counts: dict[date, Counts] = {}

    def tell(self, day: date, counts: Counts) -> None:
        """Set the progress of a day."""
        self._counts[day] = counts

    def read(self) -> dict[date, Counts]:
        """The progress of all days so far."""
        return self._counts


class Reports:
    """Reports the progress of a day to a board, at most twice a second."""

    def __init__(self, board: Any, day: date) -> None:
        self._board, self._day = board, day
        self._at = 0.0

    def tell(self, counts: Counts) -> None:
        """Report the progress, unless a report was sent less than half a second ago."""
        moment = asyncio.get_running_loop().time()
        if moment - self._at >= TELL_EVERY_S:
            self._at = moment
            self._board.tell.remote(self._day, counts)


async def ingest(job: Job, day: date, board: Any) -> Manifest:
    """Process a day in this process."""
    arguments, retries = job.arguments, list[Retry]()
    clip = ServedClip(arguments.application, job.prompt_set)
    pace = ClusterPace(arguments.rate, arguments.burst)
    async with Web(arguments.endpoints, pace, on_retry=retries.append) as web:
        services = Services(
            sru=Sru(web, arguments.endpoints.sru),
            documents=Documents(web, arguments.endpoints),
            classifier=Classifier(clip.classify, job.max_batch),
            asked=clip.asked,
            retries=retries,
        )
        reports = Reports(board, day)
        return await run_day(day, arguments.options, services, job.output, reports.tell)


@ray.remote(num_cpus=TASK_CPUS, max_retries=LOST_WORKERS)
def ingest_day(job: Job, day: date, board: Any) -> Manifest:
    """Process a day in a worker of the cluster. Ray runs the task again if its worker is lost."""
    return asyncio.run(ingest(job, day, board))
