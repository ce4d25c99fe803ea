"""The pace of a whole cluster: a token bucket in a named actor that all workers ask."""

import asyncio
from typing import Any

import ray
from ray.exceptions import RayActorError

from jobs.koop.fetching.pace import BURST, REQUESTS_PER_S, TokenBucket

NAME, NAMESPACE = "koop-pace", "panoptes"
PAUSES_S = (0.0, 0.5, 2.0)  # before further tries to reach the actor


class ClusterPace:
    """The pace that all runs on this cluster share: that of the slowest run, if they differ.

    The actor ends with the run that started it; the next caller then starts another.
    """

    def __init__(self, rate: float = REQUESTS_PER_S, burst: int = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._actor: Any = None

    async def turn(self) -> float:
        """Reserve the next turn, and return the seconds to wait for it."""
        seconds: float = await self._ask("reserve")
        return seconds

    async def pause(self, seconds: float) -> None:
        """Give out no turns for so many seconds."""
        await self._ask("pause", seconds)

    async def _ask(self, method: str, *arguments: float) -> Any:
        for pause_s in PAUSES_S:
            try:
                return await getattr(await self._bucket(), method).remote(*arguments)
            except RayActorError:  # its run has ended; its name may stay taken for a moment
                self._actor = None
                await asyncio.sleep(pause_s)
        return await getattr(await self._bucket(), method).remote(*arguments)

    async def _bucket(self) -> Any:
        if self._actor is None:
            # No clock is passed: the bucket must use that of its own process.
            actor: Any = ray.remote(TokenBucket).options(
                name=NAME, namespace=NAMESPACE, get_if_exists=True, num_cpus=0, max_restarts=-1
            )
            self._actor = actor.remote(self._rate, self._burst)
            await self._actor.slow_to.remote(self._rate, self._burst)
        return self._actor
