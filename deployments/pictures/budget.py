"""How much CPU time the decoding of a file may take, and how it is stopped.

A decoder that reads its file piece by piece is stopped at its next read. One that decodes in a single call cannot be
stopped; `deployments.pictures.costs` bounds it before it starts.
"""

import io
import time
from threading import Event

# A hundred megapixels of a usual file take less on a core of 2020; the dearest, PNG in RGBA, take about as much. Larger
# files hold more codes to read.
SECONDS, FREE_BYTES, SECONDS_A_MEGABYTE = 2.5, 1_000_000, 0.5
# Asking for the time takes a microsecond; some headers are read byte by byte.
SMALL_READS, LARGE_READ = 8, 4096


class OverBudget(Exception):
    """Decoding has taken more CPU time than its file may."""


class Abandoned(Exception):
    """Nobody waits for the picture any more."""


class Budget:
    """The CPU time of one file. It counts that of the thread in which it is made.

    Attributes:
        seconds: 2.5 for a file of up to a megabyte, and half a second for each further megabyte.
    """

    def __init__(self, size_bytes: int, abandoned: Event | None = None) -> None:
        """`abandoned` is set by another thread when nobody waits for the picture any more."""
        self.seconds = SECONDS + SECONDS_A_MEGABYTE * max(0, size_bytes - FREE_BYTES) / 1e6
        self._until, self._abandoned = time.thread_time() + self.seconds, abandoned

    def check(self) -> None:
        """Raise OverBudget or Abandoned when there is no reason to go on."""
        if self._abandoned is not None and self._abandoned.is_set():
            raise Abandoned
        if time.thread_time() > self._until:
            raise OverBudget


class MeteredFile(io.BytesIO):
    """A file in memory that checks a budget when it is read: at each large read, and at one of eight small ones."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        super().__init__(data)
        self.budget, self._reads = budget, 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As BytesIO.read; raises as `Budget.check`."""
        self._reads += 1
        if self._reads % SMALL_READS == 0 or size is None or not 0 <= size < LARGE_READ:
            self.budget.check()
        return super().read(size)
