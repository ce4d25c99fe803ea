"""Drawing on every core of a Ray cluster."""

import os
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
    per_task: int,
) -> Whole:
    """Draw `count` things in Ray tasks and join what they return; afterwards torch may use every core.

    Args:
        draw: called as `draw(seed, first, per_task)` once in each task.
        join: makes one whole of the parts. The parts lie in Ray's memory, which this function frees at its end, so
            the whole must hold copies.
        count: rounded up to whole tasks.
        per_task: things drawn by one task.
    """
    ray.init()
    task = ray.remote(draw)
    whole = join(ray.get([task.remote(seed, first, per_task) for first in range(0, count, per_task)]))
    ray.shutdown()
    # A Ray job sets OMP_NUM_THREADS to 1; by now drawing is over, and training has the machine to itself
    torch.set_num_threads(os.cpu_count() or 1)
    return whole
