"""How much CPU time a process may take for its file. The kernel keeps it: a decoder may not return for minutes."""

import signal
import time

# Of a file up to a megabyte, and of each further one: compressed frames and drawings cost more than their bytes tell.
SECONDS, FREE_BYTES, SECONDS_A_MEGABYTE = 2.5, 1_000_000, 10.0
# How the text of `Crashed` ends when a process has used its time up.
OUT_OF_TIME = f"ended with {signal.SIGPROF.name}"


class CpuBudget:
    """The CPU time of this process from now on, on all its threads; SIGPROF kills it when it is used up."""

    def __init__(self, size_bytes: int) -> None:
        """2.5 s, and 10 s for each megabyte of the file beyond its first."""
        self._until = time.process_time() + SECONDS + SECONDS_A_MEGABYTE * max(0, size_bytes - FREE_BYTES) / 1e6
        self.extend(0)

    def extend(self, seconds: float) -> None:
        """Add seconds for what was delivered."""
        self._until += seconds
        signal.setitimer(signal.ITIMER_PROF, max(self._until - time.process_time(), 0.001))
