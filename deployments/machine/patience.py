"""Time as a process has it: seconds in which its threads wait for a core do not count against it.

On a busy machine a process is slow because others have the cores. What decides that it hangs must not count that time.
"""

from pathlib import Path
from time import monotonic

# However long a process waits for a core, this share of the time counts, so that one that hangs is found in the end.
LEAST_SHARE = 0.05


class FairClock:
    """Seconds since its start, without those in which a thread of the process waited for a core.

    A process that computes, sleeps or is blocked has all of its time; one that is starved has nearly none. Where the
    kernel does not say how long threads wait for a core (/proc/*/schedstat of Linux), all time counts.
    """

    def __init__(self, threads: Path = Path("/proc/self/task")) -> None:
        """`threads`: the folder of the process's threads in /proc."""
        self._threads = threads
        self._at, self._before = monotonic(), self._waited_s()
        self._seconds = 0.0

    def seconds(self) -> float:
        """The seconds so far."""
        now, waited = monotonic(), self._waited_s()
        starved = sum(seconds - self._before.get(thread, 0.0) for thread, seconds in waited.items())
        passed = now - self._at
        self._seconds += max(passed - starved, LEAST_SHARE * passed)
        self._at, self._before = now, waited
        return self._seconds

    def _waited_s(self) -> dict[str, float]:
        """How long each thread has waited for a core so far."""
        return {file.parent.name: _waited_s(file) for file in self._threads.glob("*/schedstat")}


def _waited_s(schedstat: Path) -> float:
    try:
        return int(schedstat.read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
        return 0.0
