"""How KOOP fails: by rules for chosen requests, at random, and when a bucket of allowed requests is empty."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock


class Fault(StrEnum):
    """What may happen to a request. The last five affect only searches; other requests are answered normally."""

    EMPTY = "200 without a body"
    HTML = "200 with a page in HTML"
    LIMITED = "429 without Retry-After"
    LIMITED_SECONDS = "429 with Retry-After in seconds"
    LIMITED_DATE = "429 with Retry-After as a date"
    BROKEN = "500 with a page in HTML"
    UNAVAILABLE = "503 with a page in HTML"
    SLOW = "an answer that takes long"
    TRUNCATED = "half of the answer, then the end"
    CLOSED = "the connection closed without an answer"
    LOOP = "a redirect to itself"
    ELSEWHERE = "a redirect to another address"
    REFUSED = "a diagnostic: the system is temporarily unavailable"
    MISCOUNTED = "numberOfRecords is one more than there are"
    MISSING = "the last record of the page left out"
    REPEATED = "the first record of the page twice, the last one left out"
    STUCK = "nextRecordPosition is the position asked for"


TRANSIENT = (Fault.EMPTY, Fault.HTML, Fault.LIMITED, Fault.BROKEN, Fault.UNAVAILABLE, Fault.TRUNCATED, Fault.CLOSED)


@dataclass(frozen=True, eq=False)
class Rule:
    """A fault, and the requests to which it happens.

    Attributes:
        path: a regular expression to search for in the path.
        query: one to search for in the decoded query string.
        nth: which of the matching requests, counted from 1; None: all of them.
        seconds: of Retry-After, or until a slow answer.
        location: the target of a redirect.
    """

    fault: Fault
    path: str = ""
    query: str = ""
    nth: Container[int] | None = None
    seconds: float = 1
    location: str = ""

    def fits(self, path: str, query: str) -> bool:
        """Whether the request matches `path` and `query`."""
        return bool(re.search(self.path, path) and re.search(self.query, query))


class Bucket:
    """A token bucket: allows `size` requests at once, and `refill` more each second of `clock`."""

    def __init__(self, size: float = 115, refill: float = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._refill, self._clock = size, refill, clock
        self._left, self._seen = size, clock()

    def take(self) -> bool:
        """Take one token; False when none is left."""
        now = self._clock()
        self._left, self._seen = min(self._size, self._left + (now - self._seen) * self._refill), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Faults:
    """Decides what happens to each request: by the first rule that applies, then by the bucket, then at random.

    Its attributes may be changed at any time.

    Attributes:
        fail_rate: the share (0–1) of requests that fail at random, each with one of `fail_with`.
        latency_s: of every answer.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self.bucket: Bucket | None = None
        self.fail_rate = 0.0
        self.fail_with: Sequence[Fault] = TRANSIENT
        self.latency_s = 0.0
        self._rng, self._lock, self._counts = random.Random(seed), Lock(), Counter[Rule]()

    def strike(self, path: str, query: str) -> Rule | None:
        """The rule that applies to a request, if any. Counts the request."""
        with self._lock:
            struck = [rule for rule in self.rules if rule.fits(path, query) and self._counted(rule)]
            if struck:
                return struck[0]
            if self.bucket is not None and not self.bucket.take():
                return Rule(Fault.LIMITED)
            if self._rng.random() < self.fail_rate:
                return Rule(self._rng.choice(self.fail_with))
            return None

    def _counted(self, rule: Rule) -> bool:
        """Count a matching request; whether the rule applies to it."""
        self._counts[rule] += 1
        return rule.nth is None or self._counts[rule] in rule.nth
