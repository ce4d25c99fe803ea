"""One pace for a whole cluster: a token bucket in a named actor, which every worker asks."""

import asyncio
from typing import Any

import ray
from ray.exceptions import RayActorError

from jobs.koop.fetching.pace import BURST, REQUESTS_PER_S, TokenBucket

NAME, NAMESPACE = "koop-pace", "panoptes"
PAUSES_S = (0.0, 0.5, 2.0)  # before further tries to reach the actor


class ClusterPace:
    """The pace that every run on this cluster keeps: that of the slowest, should they differ.

    The actor ends with the run that started it. Whoever asks next starts another.
    """

    def __init__(self, rate: float = REQUESTS_PER_S, burst: int = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._actor: Any = None

    async def turn(self) -> float:
        """Take the next turn; the seconds to wait for it."""
        seconds: float = await self._ask("reserve")
        return seconds

    async def pause(self, seconds: float) -> None:
        """Let nobody begin for so long."""
        await self._ask("pause", seconds)

    async def _ask(self, method: str, *arguments: float) -> Any:
        for pause_s in PAUSES_S:
            try:
                return await getattr(await self._bucket(), method).remote(*arguments)
            except RayActorError:  # that of a run which has ended, and whose name may be taken for a moment yet
                self._actor = None
                await asyncio.sleep(pause_s)
        return await getattr(await self._bucket(), method).remote(*arguments)

    async def _bucket(self) -> Any:
        if self._actor is None:
            # The bucket's own default clock: a process's clock means nothing in another one.
            actor: Any = ray.remote(TokenBucket).options(
                name=NAME, namespace=NAMESPACE, get_if_exists=True, num_cpus=0, max_restarts=-1
            )
            self._actor = actor.remote(self._rate, self._burst)
            await self._actor.slow_to.remote(self._rate, self._burst)
        return self._actor
