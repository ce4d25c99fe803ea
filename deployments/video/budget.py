"""How much CPU time reading a video may take. The kernel keeps it, because a decoder may not return for minutes."""

import signal
import time

# Decoding 1080p takes a tenth of a second for each second of film; sparse samples are reached by seeking.
SECONDS, FREE_BYTES, SECONDS_A_MEGABYTE = 2.5, 1_000_000, 10.0
SECONDS_OF_FILM, LONGEST_STEP_S = 0.1, 10.0
# What a process that used it up is ended by.
SIGNAL = signal.SIGPROF


class CpuBudget:
    """The CPU time of this process from now on, on all its threads; it is killed by SIGPROF when it is used up."""

    def __init__(self, size_bytes: int) -> None:
        """2.5 s, and 10 s for each megabyte of the file beyond its first."""
        self._until = time.process_time() + SECONDS + SECONDS_A_MEGABYTE * max(0, size_bytes - FREE_BYTES) / 1e6
        self._shown = 0.0
        self._set()

    def delivered(self, time_s: float) -> None:
        """Add a tenth of the film's time, in seconds, up to a frame that was delivered."""
        step_s = min(max(time_s - self._shown, 0), LONGEST_STEP_S)
        self._until, self._shown = self._until + SECONDS_OF_FILM * step_s, time_s
        self._set()

    def _set(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, max(self._until - time.process_time(), 0.001))
