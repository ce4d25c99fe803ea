"""How many CPU threads a replica gets."""

import os

MOST_AUTOMATIC_THREADS = 8


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))


def threads_for(configured: int) -> int:
    """CPU threads of a replica; 0 means all cores, at most 8."""
    return configured or min(cores(), MOST_AUTOMATIC_THREADS)
