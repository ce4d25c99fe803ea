"""How many replicas of each deployment take requests."""

import asyncio
import time

from ray import serve

REMEMBERED_S = 2.0


class RunningReplicas:
    """The numbers of running replicas of this application's deployments, cached for two seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._at = -REMEMBERED_S
        self._asking = asyncio.Lock()

    async def get(self) -> dict[str, int]:
        """The numbers by deployment, at most two seconds old."""
        async with self._asking:
            if time.monotonic() - self._at > REMEMBERED_S:
                self._counts = await asyncio.to_thread(_count)
                self._at = time.monotonic()
        return self._counts


def _count() -> dict[str, int]:
    application = serve.status().applications.get(serve.get_replica_context().app_name)
    deployments = application.deployments if application else {}
    return {
        name: sum(count for state, count in overview.replica_states.items() if state == "RUNNING")
        for name, overview in deployments.items()
    }


running_replicas = RunningReplicas()
