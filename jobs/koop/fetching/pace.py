"""How fast KOOP is asked: a token bucket, which a whole cluster can share (`cluster_pace`)."""

import time
from collections.abc import Callable
from typing import Protocol

REQUESTS_PER_S = 0.85
BURST = 50


class TokenBucket:
    """At most `burst` requests at once and `rate` requests/s in the long run.

    A turn is given out before its time, so that callers wait on their own side and in the order in which they asked.
    """

    def __init__(
        self, rate: float = REQUESTS_PER_S, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds from any beginning, which never go back."""
        if rate <= 0 or burst < 1:
            raise ValueError(f"a pace needs a positive rate and a burst of at least 1, not {rate} and {burst}")
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = float(burst), clock()

    def reserve(self) -> float:
        """Take the next turn; the seconds until it comes, 0 for now."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def pause(self, seconds: float) -> None:
        """Give out no turn within `seconds` from now, nor a burst after them: the server has asked for quiet."""
        self._refill()
        self._tokens = min(self._tokens, 1 - seconds * self._rate)

    def slow_to(self, rate: float, burst: int) -> None:
        """Be at least this slow from now on: those who share a bucket go at the pace of the slowest."""
        self._refill()
        self._rate, self._burst = min(self._rate, rate), min(self._burst, burst)
        self._tokens = min(self._tokens, self._burst)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Pace(Protocol):
    """Who is asked for a turn before every request."""

    async def turn(self) -> float:
        """Take the next turn; the seconds to wait for it."""

    async def pause(self, seconds: float) -> None:
        """Let nobody begin for so long."""


class LocalPace:
    """The pace of one process."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket

    async def turn(self) -> float:
        """Take the next turn; the seconds to wait for it."""
        return self._bucket.reserve()

    async def pause(self, seconds: float) -> None:
        """Let nobody begin for so long."""
        self._bucket.pause(seconds)
