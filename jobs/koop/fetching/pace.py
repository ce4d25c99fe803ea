"""Limits the rate of requests to KOOP by a token bucket, which a whole cluster can share (`cluster_pace`)."""

import time
from collections.abc import Callable
from typing import Protocol

REQUESTS_PER_S = 0.85
BURST = 50


class TokenBucket:
    """Allows at most `burst` requests at once and `rate` requests/s on average.

    A turn is reserved ahead of its time, so that callers wait on their own, in the order of their requests.
    """

    def __init__(
        self, rate: float = REQUESTS_PER_S, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` returns seconds from any origin, never decreasing."""
        if rate <= 0 or burst < 1:
            raise ValueError(f"a pace needs a positive rate and a burst of at least 1, not {rate} and {burst}")
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = float(burst), clock()

    def reserve(self) -> float:
        """Reserve the next turn, and return the seconds until it comes; 0 means now."""
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def pause(self, seconds: float) -> None:
        """Give out no turns for `seconds` from now, and no burst afterwards, because the server is overloaded."""
        self._refill()
        self._tokens = min(self._tokens, 1 - seconds * self._rate)

    def slow_to(self, rate: float, burst: int) -> None:
        """Limit rate and burst to these values, so that all who share a bucket go at the pace of the slowest."""
        self._refill()
        self._rate, self._burst = min(self._rate, rate), min(self._burst, burst)
        self._tokens = min(self._tokens, self._burst)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Pace(Protocol):
    """Gives out the turns: every request needs one."""

    async def turn(self) -> float:
        """Reserve the next turn, and return the seconds to wait for it."""

    async def pause(self, seconds: float) -> None:
        """Give out no turns for so many seconds."""


class LocalPace:
    """The pace of one process."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket

    async def turn(self) -> float:
        """Reserve the next turn, and return the seconds to wait for it."""
        return self._bucket.reserve()

    async def pause(self, seconds: float) -> None:
        """Give out no turns for so many seconds."""
        self._bucket.pause(seconds)
