"""The steps of a training that lasts for a given time."""

import math
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

REPORTED = 200  # steps between two lines of output


def learning_rate(peak: float, progress: float, *, warm_up: float = 0.0, first: float = 0.0) -> float:
    """The learning rate: half a cosine that falls from `peak` to 0, times a linear rise from `first` to 1.

    Args:
        progress: the share (0–1) of the training that is over.
        warm_up: the share of the training in which the rise gains 1; 0: there is no rise.
        first: what the rise starts from, as a share of `peak`.
    """
    risen = min(1.0, progress / warm_up + first) if warm_up else 1.0
    return peak * risen * (0.5 + 0.5 * math.cos(math.pi * progress))


def descend(optimizer: torch.optim.Optimizer, rate: float, loss: Tensor, limited: Iterable[Tensor] = ()) -> float:
    """One step of the optimiser at this learning rate; returns the loss.

    Args:
        limited: parameters whose gradients are scaled down to a norm of 1 together where it is larger.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(limited, 1.0)
    optimizer.step()
    return float(loss.detach())


def run_for(seconds: float, step: Callable[[float], float]) -> int:
    """Take steps until the time is up; returns their number.

    Args:
        step: takes the progress (0–1) and returns the loss, whose mean is printed every REPORTED steps.
    """
    start, steps, running = time.monotonic(), 0, 0.0
    while (gone := time.monotonic() - start) < seconds:
        running += step(gone / seconds)
        steps += 1
        if steps % REPORTED == 0:
            print(f"{gone:5.0f} s  step {steps}  loss {running / REPORTED:.3f}", flush=True)
            running = 0.0
    return steps
