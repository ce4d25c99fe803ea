"""Reading a video through the deployment, for the tests of it."""

from typing import Any

import numpy as np

from deployments.video.deployment import FrameBatch, Video
from testbed.replicas import replica_class

SIZE = 32


def reader(threads: int = 1, max_seconds: float = 600) -> Any:
    return replica_class(Video)(threads, max_seconds)


async def frames(data: Any, step_s: float = 1, most: int = 600, **options: Any) -> list[FrameBatch]:
    return [batch async for batch in reader(**options).frames(data, step_s, most, SIZE)]


def times(batches: list[FrameBatch]) -> list[float]:
    return [round(moment, 3) for batch in batches for moment in batch.times_s]


def pixels(batches: list[FrameBatch]) -> Any:
    return np.concatenate([batch.pixels for batch in batches]).astype(int)
