"""The ingress's client of the record of jobs."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from deployments.runtime.calls import Call
from deployments.work.deployment import Job
from serve_app.clients.calls import answer
from serve_app.clients.client import SIDE_CALL_S, ModelClient
from serve_app.http import errors

# A busy machine may take a while; without a replica the answer would come at the deadline only.
LIST_S = 15.0

Value = TypeVar("Value")


class WorkClient(ModelClient):
    """The record of jobs."""

    async def record(self, job: Job) -> None:
        """Store a job's state; Unavailable when the record does not answer within a few seconds."""
        await self._within(SIDE_CALL_S, lambda: self._use().record.remote(job))

    async def jobs(self) -> list[Job]:
        """The newest jobs, newest first; Unavailable when the record does not answer within LIST_S."""
        return await self._within(LIST_S, self._use().jobs.remote)

    async def _within(self, seconds: float, ask: Callable[[], Call[Value]]) -> Value:
        # A handle alone would wait until a replica runs.
        try:
            async with asyncio.timeout(seconds):
                return await answer(self.deployment, ask)
        except TimeoutError:
            raise errors.ModelUnavailable("The record of jobs does not answer: try again.", retry_after_s=5) from None
