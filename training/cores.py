"""Drawing on every core of a Ray cluster, and then training with all of them."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import ray
import torch

Part = TypeVar("Part")
Whole = TypeVar("Whole")


def on_every_core(
    draw: Callable[[int, int, int], Part],
    join: Callable[[list[Part]], Whole],
    seed: int,
    count: int,
    in_one_task: int,
) -> Whole:
    """Call `draw(seed, first, number)` until `count` things are drawn, in Ray tasks of `in_one_task` each.

    Args:
        join: makes one of what the calls returned, which lies in Ray's memory and does not outlive this function.
        count: rounded up to whole tasks.
    """
    ray.init()
    task = ray.remote(draw)
    whole = join(ray.get([task.remote(seed, first, in_one_task) for first in range(0, count, in_one_task)]))
    ray.shutdown()
    # In a Ray job, OMP_NUM_THREADS is 1; training comes after drawing and has the machine to itself
    torch.set_num_threads(os.cpu_count() or 1)
    return whole


def left_for_training(start: float, minutes: float) -> float:
    """Seconds of the `minutes` since `start` (time.monotonic()) that are left; two fifths of them on a busy machine."""
    return max(minutes * 60 - (time.monotonic() - start), 0.4 * minutes * 60)
