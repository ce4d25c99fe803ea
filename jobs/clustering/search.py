"""The exact search, one block row after another. Finished block rows are saved in the output and are not done again.

Each block row starts from a snapshot of what is known by then, and returns only a spanning forest and the few open
pairs, so that this process needs O(n) memory however many pairs of neighbours there are.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field

from ray.exceptions import RayError

from deployments.clustering.growth import Growth
from deployments.wire.foreign import foreign
from jobs.clustering.rows import RowFound, SearchPlan, pack, unpack
from jobs.clustering.workers import Pool
from jobs.runtime.errors import JobRefused
from jobs.runtime.output import Output
from jobs.runtime.progress import Progress

FOLDER = "_blocks"
MILLION = 1_000_000


@dataclass
class Searched:
    """The growth for each threshold, the pairs compared by this run, and the block rows done by earlier runs."""

    growths: list[Growth]
    compared: int = 0
    resumed: int = 0
    devices: set[str] = field(default_factory=set)

    def take(self, row: RowFound) -> None:
        """Add what a block row found."""
        self.devices.add(row.device)
        for growth, found in zip(self.growths, row.found, strict=True):
            growth.take(found)


def search(plan: SearchPlan, pool: Pool, at_a_time: int, output: Output, signature: str) -> Searched:
    """Search all block rows.

    Args:
        plan: what is searched.
        pool: searches the block rows; it is closed in any case.
        at_a_time: how many block rows to search in parallel.
        output: where finished block rows are written, to `_blocks/SIGNATURE/`; those already there are reused.
        signature: the hash of the vectors and the plan.

    Raises:
        JobRefused: a task failed after all retries, or the output cannot be read or written.
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
    """Yield each block row and what it found, in the order in which they finish, after adding it to `searched`."""
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
        raise JobRefused(f"A search task failed: run the same command again to continue. [{foreign(error)}]") from error


def _name(signature: str, row: int) -> str:
    return f"{FOLDER}/{signature}/{row:06}.npz"


def _counts(plan: SearchPlan, row: int) -> dict[str, int]:
    before = sum(plan.pairs(earlier) for earlier in range(row))
    return {"million pairs": (before + plan.pairs(row)) // MILLION - before // MILLION, "block rows": 1}
