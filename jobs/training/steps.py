"""Training by the clock."""

import time
from collections.abc import Callable

REPORTED = 200  # steps between two lines of the log


def run_for(seconds: float, step: Callable[[float], float]) -> int:
    """Take steps until the time is up; returns their number.

    Args:
        step: takes the progress (0–1) and returns its loss, of which the log shows the mean.
    """
    start, steps, running = time.monotonic(), 0, 0.0
    while (gone := time.monotonic() - start) < seconds:
        running += step(gone / seconds)
        steps += 1
        if steps % REPORTED == 0:
            print(f"{gone:5.0f} s  step {steps}  loss {running / REPORTED:.3f}", flush=True)
            running = 0.0
    return steps
