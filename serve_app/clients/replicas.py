"""How many replicas of each deployment take requests."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from ray import serve

from serve_app.clients.remembered import Known, Remembered

REMEMBERED_S = 2.0


class RunningReplicas:
    """The numbers of running replicas of this application's deployments, cached for two seconds.

    Ray's serializer is not thread-safe, so Serve is asked in a thread of its own, by one question at a time.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replicas")
        self._counts: Remembered[dict[str, int]] = Remembered(self._ask, REMEMBERED_S)

    async def get(self, patience_s: float) -> Known[dict[str, int]]:
        """The numbers by deployment, as they are known after `patience_s` seconds at most."""
        return await self._counts.get(patience_s)

    async def _ask(self) -> dict[str, int]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _count)


def _count() -> dict[str, int]:
    application = serve.status().applications.get(serve.get_replica_context().app_name)
    deployments = application.deployments if application else {}
    return {
        name: sum(count for state, count in overview.replica_states.items() if state == "RUNNING")
        for name, overview in deployments.items()
    }


running_replicas = RunningReplicas()
