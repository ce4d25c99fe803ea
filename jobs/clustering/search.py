"""The exact search, block row by block row; what is finished lies beside the output and is not done again.

Each block row begins with what was known when it was started, and finds no more than a forest and the few pairs that
are open, so that this process holds O(n) however many neighbours there are.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field

from ray.exceptions import RayError

from deployments.clustering.growth import Growth
from jobs.clustering.rows import RowFound, SearchPlan, pack, unpack
from jobs.clustering.workers import Pool
from jobs.runtime.errors import JobRefused
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress

FOLDER = "_blocks"
MILLION = 1_000_000


@dataclass
class Searched:
    """The growth of each threshold, the pairs that were compared now, the block rows that an earlier run did."""

    growths: list[Growth]
    compared: int = 0
    resumed: int = 0
    devices: set[str] = field(default_factory=set)

    def take(self, row: RowFound) -> None:
        """Add a block row."""
        self.devices.add(row.device)
        for growth, found in zip(self.growths, row.found, strict=True):
            growth.take(found)


def search(plan: SearchPlan, pool: Pool, at_a_time: int, output: Output, signature: str) -> Searched:
    """Search every block row.

    Args:
        plan: what is searched.
        pool: searches a block row; closed at the end, whatever it is.
        at_a_time: block rows.
        output: block rows are written to `_blocks/SIGNATURE/`, and those that are there already are taken from there.
        signature: of the vectors and the plan.

    Raises:
        JobRefused: a task failed again and again, or the output fails.
    """
    searched = Searched([Growth(plan.count, threshold.min_samples) for threshold in plan.thresholds])
    columns = ("million pairs", "block rows")
    total = sum(plan.pairs(row) for row in range(plan.rows)) // MILLION
    with closing(pool), Progress(columns, total, rate="million pairs") as progress:
        waiting = []
        for row in range(plan.rows):
            data = output.read_bytes(_name(signature, row))
            if data is None:
                waiting.append(row)
                continue
            searched.take(unpack(data))
            searched.resumed += 1
            progress.skip(**_counts(plan, row))
        for row, found in _run(pool, at_a_time, waiting, searched):
            searched.compared += found.compared
            output.write_bytes(_name(signature, row), pack(found))
            progress.advance(**_counts(plan, row))
    return searched


def forget(output: Output, signature: str = "") -> None:
    """Delete the block rows of one search, or those of all searches with this output."""
    for path in output.list(f"{FOLDER}/{signature}".rstrip("/")):
        output.delete(path)


def _run(pool: Pool, at_a_time: int, rows: Sequence[int], searched: Searched) -> Iterator[tuple[int, RowFound]]:
    """Each row and what it found, in the order in which they end; `searched` has taken it by then."""
    waiting, running = list(reversed(rows)), dict[Future[RowFound], int]()
    try:
        known = pool.share([growth.known() for growth in searched.growths])
        while waiting or running:
            while waiting and len(running) < at_a_time:
                row = waiting.pop()
                running[pool.submit(row, known)] = row
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                row, found = running.pop(future), future.result()
                searched.take(found)
                known = pool.share([growth.known() for growth in searched.growths])
                yield row, found
    except RayError as error:
        why = " ".join(str(error).split())[-300:]
        raise JobRefused(f"A search task failed; what is complete stays, run the same again. [{why}]") from error


def _name(signature: str, row: int) -> str:
    return f"{FOLDER}/{signature}/{row:06}.npz"


def _counts(plan: SearchPlan, row: int) -> dict[str, int]:
    before = sum(plan.pairs(earlier) for earlier in range(row))
    return {"million pairs": (before + plan.pairs(row)) // MILLION - before // MILLION, "block rows": 1}
