"""The ingress's client of the video reader."""

import asyncio
from collections.abc import AsyncGenerator
from mmap import mmap
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import ray

from deployments.runtime.calls import INGRESS, failure_of
from deployments.video.deployment import FrameBatch
from serve_app.clients.calls import CALL_ERRORS, answer, count_retry, ours
from serve_app.clients.client import ModelClient

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


class VideoClient(ModelClient):
    """Frames of videos; a video is handed over once, by `put`."""

    async def put(self, data: bytes | mmap) -> Any:
        """Put a video into the object store; returns the reference that `frames` and `frame_jpegs` take."""
        return await asyncio.to_thread(ray.put, np.frombuffer(data, np.uint8))

    async def frames(
        self, video: Any, step_s: float, most: int, size: int, *, crop: bool = True
    ) -> AsyncGenerator[FrameBatch]:
        """Batches of frames, one each `step_s` seconds, at most `most`; `size` and `crop` as in `Video.frames`.

        A stream that breaks off is requested again, and batches that were already yielded are skipped.

        Raises:
            InvalidVideo, VideoTooLarge: before the first batch.
        """
        handle = cast("DeploymentHandle[Any]", self._handle).options(stream=True)
        given = 0
        for attempt in range(1, INGRESS.attempts + 1):
            batches: Any = handle.frames.remote(video, step_s, most, size, crop)
            number = 0
            try:
                async for batch in batches:
                    number += 1
                    if number > given:
                        given = number
                        yield batch
                return
            except CALL_ERRORS as error:
                if attempt == INGRESS.attempts or failure_of(error) not in INGRESS.retried:
                    raise ours(error) from error
            finally:
                batches.cancel()  # the caller may be gone, and the reader would continue
            count_retry(self.deployment)
            await asyncio.sleep(INGRESS.pause_after(attempt))

    async def frame_jpegs(self, video: Any, times_s: list[float], max_side: int, digests: list[int]) -> list[bytes]:
        """JPEGs of the frames with these times and digests, in order; no side is longer than `max_side` pixels."""
        handle = cast("DeploymentHandle[Any]", self._handle)
        return await answer(self.deployment, lambda: handle.frame_jpegs.remote(video, times_s, max_side, digests))
