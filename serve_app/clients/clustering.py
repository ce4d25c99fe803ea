"""The ingress's client of the clustering."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import ray

from deployments.runtime.calls import LARGEST_VALUE
from serve_app.clients.calls import answer
from serve_app.clients.client import ModelClient

PIECE = 8 << 20  # bytes


class ClustererClient(ModelClient):
    """Clustering: the bytes of a request in, the bytes of its answer out."""

    async def cluster(self, chunks: AsyncIterator[bytes]) -> bytes:
        """The answer to a ClusterRequest in JSON, which may be hundreds of megabytes.

        It goes into the object store piece by piece as it arrives, so that this process never holds all of it.

        Raises:
            ValidationFailed: the request is not valid.
        """
        self.announce()
        pieces, piece = list[Any](), bytearray()
        async for chunk in chunks:
            piece += chunk
            if len(piece) >= PIECE:
                pieces.append(await _put(piece))
                piece = bytearray()
        small = not pieces and len(piece) <= LARGEST_VALUE
        pieces.append(bytes(piece) if small else await _put(piece))
        handle = self._use(0 if small else PIECE)
        return await answer(self.deployment, lambda: handle.cluster.remote(*pieces))


async def _put(piece: bytearray) -> Any:
    return await asyncio.to_thread(ray.put, np.frombuffer(piece, np.uint8))
