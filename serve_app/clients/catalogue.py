"""The catalogue's workers as the ingress asks them."""

import asyncio
import contextlib

from serve_app.clients.calls import NO_ANSWER
from serve_app.clients.client import STATUS_TIMEOUT_S, ModelClient


class CataloguerClient(ModelClient):
    """The catalogue's workers."""

    async def wake(self) -> None:
        """Say that there is an upload. A worker that does not hear it finds it a little later."""
        with contextlib.suppress(*NO_ANSWER):
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                await self._use().wake.remote()
