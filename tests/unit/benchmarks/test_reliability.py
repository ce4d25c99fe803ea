"""How the reliability benchmark evaluates the answers of its clients."""

import math

import pytest

from benchmarks.reliability.overload import OVERLOAD_S, SETTLED_S, summed
from benchmarks.reliability.traffic import Answer, Answers


def answered(*times: float, status: int = 200) -> list[Answer]:
    return [Answer("/classify", time - 0.1, time, status) for time in times]


def steadily(start: float, end: float, rate: int) -> list[Answer]:
    return answered(*(start + number / rate for number in range(round((end - start) * rate))))


def test_good_answers_a_second_and_the_longest_time_without_one() -> None:
    seen = Answers([*answered(1.0, 2.0, 6.0, 7.0), *answered(4.0, status=503)])
    assert seen.throughput(0, 8) == 0.5
    assert seen.longest_gap(0, 8) == 4
    assert seen.failed() == {"503": 1}


def test_an_answer_that_never_came_is_counted_by_its_error() -> None:
    assert Answers([Answer("/classify", 0, 1, 0, "RemoteDisconnected")]).failed() == {"RemoteDisconnected": 1}


@pytest.mark.parametrize(
    ("seen", "back_s"),
    [
        (steadily(0, 60, 10), 0),
        ([*steadily(0, 10, 10), *steadily(30, 60, 10)], 20),
        # What comes before the deepest dip is no recovery.
        ([*steadily(0, 20, 10), *steadily(20, 30, 5), *steadily(40, 60, 10)], 30),
        (steadily(0, 12, 10), None),
    ],
)
def test_back_is_when_the_throughput_is_there_again(seen: list[Answer], back_s: float | None) -> None:
    back = Answers(seen).recovery(10, 60, 9)
    assert back == (None if back_s is None else pytest.approx(back_s, abs=0.6))


def test_goodput_is_counted_once_as_many_are_under_way_as_may_be() -> None:
    good = [*steadily(0, SETTLED_S, 1), *steadily(SETTLED_S, OVERLOAD_S, 8)]
    refused = [Answer("/classify", 0, 0.05, 503, "", True), Answer("/classify", 1, 1.3, 429, "", False)]
    seen = summed(10, [*good, *refused, *answered(2.0, status=504)], 0.0, {})
    assert seen.goodput == pytest.approx(8, rel=0.02)
    assert (seen.refused, seen.without_retry_after) == ({"503": 1, "429": 1}, 1)
    assert seen.failed == {"504": 1}
    assert (seen.refusal_p50, seen.refusal_p99) == pytest.approx((0.175, 0.3))


def test_what_is_sent_too_late_was_not_offered() -> None:
    seen = summed(10, [*steadily(0, OVERLOAD_S, 10), *answered(OVERLOAD_S + 5.0)], 0.0, {})
    assert seen.offered == pytest.approx(10)
    assert math.isnan(seen.refusal_p50)
