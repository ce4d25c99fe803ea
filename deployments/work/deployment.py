"""The record of the jobs of /process, kept by one replica, so that all ingress replicas report the same."""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal

from ray import serve

MOST_JOBS = 1_000
LATE_S = 10.0  # a job that still runs this long after its deadline has lost its ingress replica


@dataclass(frozen=True)
class Job:
    """One request of /process; times are Unix seconds. `treated` and `not_treated` are set when it is finished.

    `id` is unique; `request_id` comes from the client, and several jobs may share it.
    """

    id: str
    request_id: str
    documents: int
    started_at: float
    deadline_at: float
    status: Literal["running", "done", "failed"] = "running"
    finished_at: float | None = None
    treated: int = 0
    not_treated: int = 0
    error: str = ""


@serve.deployment
class Work:
    """The only replica. It keeps the jobs in memory and loses them with its process."""

    def __init__(self, most: int = MOST_JOBS) -> None:
        self._most = most
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    async def record(self, job: Job) -> None:
        """Store a job's current state; the oldest job is dropped when there are too many."""
        self._jobs[job.id] = job
        while len(self._jobs) > self._most:
            self._jobs.popitem(last=False)

    async def jobs(self) -> list[Job]:
        """All stored jobs, the newest first."""
        return [_as_of(job, time.time()) for job in reversed(self._jobs.values())]


def _as_of(job: Job, now: float) -> Job:
    if job.status == "running" and now > job.deadline_at + LATE_S:
        return replace(job, status="failed", error="Its ingress replica ended before it had an answer: send it again.")
    return job
