"""The token bucket, on a clock that the tests set."""

import pytest

from jobs.koop.fetching.pace import LocalPace, TokenBucket
from testbed.doubles.clock import Clock


def test_a_burst_is_free_and_the_rest_is_spread() -> None:
    bucket = TokenBucket(0.5, 3, Clock())
    assert [bucket.reserve() for _ in range(6)] == [0, 0, 0, 2, 4, 6]


def test_tokens_refill_over_time_up_to_the_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(0.5, 3, clock)
    for _ in range(4):
        bucket.reserve()
    clock.now += 2
    assert bucket.reserve() == 2
    clock.now += 1_000
    assert [bucket.reserve() for _ in range(4)] == [0, 0, 0, 2]


def test_the_default_pace_is_what_koop_tolerates() -> None:
    bucket = TokenBucket(clock=Clock())
    assert [bucket.reserve() for _ in range(50)] == [0] * 50
    assert bucket.reserve() == pytest.approx(1 / 0.85)


def test_a_pause_is_quiet_and_has_no_burst_after_it() -> None:
    clock = Clock()
    bucket = TokenBucket(0.5, 50, clock)
    bucket.pause(30)
    assert [bucket.reserve() for _ in range(3)] == [30, 32, 34]


def test_simultaneous_pauses_are_one_pause() -> None:
    bucket = TokenBucket(0.5, 50, Clock())
    for seconds in (30, 10, 30):
        bucket.pause(seconds)
    assert bucket.reserve() == 30


def test_the_slowest_decides() -> None:
    bucket = TokenBucket(0.5, 50, Clock())
    bucket.slow_to(0.25, 2)
    assert [bucket.reserve() for _ in range(4)] == [0, 0, 4, 8]
    bucket.slow_to(10, 50)
    assert bucket.reserve() == 12


async def test_a_local_pace_asks_its_bucket() -> None:
    pace = LocalPace(TokenBucket(0.5, 1, Clock()))
    assert [await pace.turn(), await pace.turn()] == [0, 2]
    await pace.pause(60)
    assert await pace.turn() == 60


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_pace_that_gives_no_turn_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="pace"):
        TokenBucket(rate, burst)
