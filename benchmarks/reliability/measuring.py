"""What clients see of a fault under steady load."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.reliability.faults import Healed
from benchmarks.reliability.traffic import Answers, Request, Traffic
from testbed.processes import within

WARM_UP_S, BEFORE_S, AFTER_S = 5.0, 12.0, 8.0
MOST_S = 240.0  # after a fault
BACK = 0.9  # of the throughput before the fault, from which on it counts as back


@dataclass(frozen=True)
class Seen:
    """What the clients saw from the fault on, including requests that were under way at the end.

    Attributes:
        sent: number of requests.
        failed: how many failed, by status or exception.
        usual: good answers/s before the fault.
        gap_s: the longest time without a good answer to anybody.
        slowest_s: the longest time of a request.
        healed_s: time until what failed was replaced; None: it was not.
        back_s: time until the throughput was back (see BACK); None: it was not.
    """

    sent: int
    failed: dict[str, int]
    usual: float
    gap_s: float
    slowest_s: float
    healed_s: float | None
    back_s: float | None


def measure(url: str, inflict: Callable[[], Healed], clients: int, requests: Sequence[Request]) -> Seen:
    """Inflict a fault, and watch until it is over and the throughput is back, at most MOST_S."""
    with Traffic(url, requests, clients) as traffic:
        time.sleep(WARM_UP_S + BEFORE_S)
        struck = time.perf_counter()
        usual = traffic.answers.throughput(struck - BEFORE_S, struck)
        healed = inflict()
        over = time.perf_counter() - struck if within(MOST_S, healed) else None
        time.sleep(AFTER_S)

        def back() -> bool:
            return traffic.answers.recovery(struck, time.perf_counter(), BACK * usual) is not None

        within(max(0.0, struck + MOST_S - time.perf_counter()), back)
        ended = time.perf_counter()
    answers = traffic.answers  # including those that the clients still waited for
    seen = Answers([answer for answer in answers.all if answer.ended >= struck])
    return Seen(
        sent=len(seen.all),
        failed=dict(seen.failed()),
        usual=usual,
        gap_s=seen.longest_gap(struck, ended),
        slowest_s=max((answer.seconds for answer in seen.all), default=0.0),
        healed_s=over,
        back_s=answers.recovery(struck, ended, BACK * usual),
    )
