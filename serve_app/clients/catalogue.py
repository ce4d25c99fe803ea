"""The ingress's client of the catalogue's workers."""

import asyncio
import contextlib

from serve_app.clients.calls import NO_ANSWER
from serve_app.clients.client import SIDE_CALL_S, ModelClient


class CataloguerClient(ModelClient):
    """The catalogue's workers."""

    async def wake(self) -> None:
        """Tell a worker that there is an upload. If the call fails, a worker finds the upload a little later."""
        with contextlib.suppress(*NO_ANSWER):
            async with asyncio.timeout(SIDE_CALL_S):
                await self._use().wake.remote()
