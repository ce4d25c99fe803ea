"""The minutes that one training may take, drawing and learning together."""

import time

LEARNING_SHARE = 0.4  # the part of the minutes that learning gets at least, however long drawing took


class Budget:
    """Counts the time from its creation on."""

    def __init__(self, minutes: float) -> None:
        self._seconds, self._start = 60 * minutes, time.monotonic()

    def report(self, done: str) -> None:
        """Print what was done, after the seconds that have passed."""
        print(f"{self._passed():5.0f} s  {done}", flush=True)

    def left(self) -> float:
        """Seconds left for learning; at least LEARNING_SHARE of the whole time, even where drawing used up more."""
        return max(self._seconds - self._passed(), LEARNING_SHARE * self._seconds)

    def _passed(self) -> float:
        return time.monotonic() - self._start
