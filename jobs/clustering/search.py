"""The exact search as Ray tasks, one a block row; what is finished lies beside the output and is not done again.

The vectors are in Ray's object store in blocks, each once a node however many tasks read it, spilled to disk where
memory is short. Each task begins with what was known when it was started, and finds no more than a forest and the few
pairs that are open, so that this process holds O(n) however many neighbours there are.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from deployments.dbscan import Floats, Units
from deployments.growth import Growth, Known
from jobs.clustering.rows import HostEngine, Plan, RowFound, pack, search_row, unpack
from jobs.clustering.vectors import Vectors
from jobs.errors import JobRefused
from jobs.output import Output
from jobs.progress import Progress
from jobs.running import join

FOLDER = "_blocks"
# A task has one core: as many tasks as cores, not each with as many threads as cores. Ray sets OMP_NUM_THREADS alone.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TASKS_A_GPU = 4  # while one multiplies, the others merge what they found, on a core each
MILLION = 1_000_000


@dataclass(frozen=True)
class Workers:
    """So many tasks at a time, each with `cpus` of a core reserved, and `gpus` of a GPU."""

    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        if self.gpus:
            return f"{self.count} at a time, on {self.gpus:g} of a GPU each"
        beside = "" if self.cpus else ", which is not reserved: what else runs in this Ray has reserved the cores"
        return f"{self.count} at a time, on a core each{beside}"


def start_ray() -> str:
    """Join the Ray that runs here or at `RAY_ADDRESS`, or else start one for this job; says which."""
    try:
        join()
    except JobRefused:
        if os.environ.get("RAY_ADDRESS"):
            raise
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        return "Ray of its own, started for this job"
    return f"Ray at {ray.get_runtime_context().gcs_address}"


def choose_workers(asked: int) -> Workers:
    """Four for each free GPU, or else as many as there are free cores, unless a number is asked for.

    What is free may be spread over nodes and GPUs in pieces that no task fits into. So a task reserves a share of a GPU
    only where so much is free that one of them has the share, and a core only where one of the nodes must have it.
    Otherwise tasks reserve none: they share the cores with what else runs here and need not wait for it to end.
    """
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    cores, gpus = float(free.get("CPU", 0)), float(free.get("GPU", 0))
    share = 1 / TASKS_A_GPU
    if 0 < share * ray.cluster_resources().get("GPU", 0) <= gpus:  # type: ignore[no-untyped-call]
        # No core beside it: the free ones may be on other nodes.
        return Workers(asked or max(1, int(min(gpus / share, cores))), 0.0, share)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]  # type: ignore[no-untyped-call]
    return Workers(asked or max(1, int(cores)), 1.0 if nodes and cores >= len(nodes) else 0.0, 0.0)


class Store:
    """Blocks of vectors in Ray's object store, where this process reads them too, without a copy.

    `in_process`: in the memory of this process instead, for a search without tasks.
    """

    def __init__(self, in_process: bool = False) -> None:
        self._in_process = in_process
        self._held: list[Any] = []

    def append(self, block: Vectors) -> None:
        """Hand over a block; it is not to be written to afterwards."""
        self._held.append(block if self._in_process else ray.put(block))

    @property
    def references(self) -> tuple[Any, ...]:
        """For tasks."""
        return tuple(self._held)

    def blocks(self) -> list[Vectors]:
        """Read-only views."""
        return self._held if self._in_process else ray.get(self._held)


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


def search(plan: Plan, store: Store, lengths: Floats, output: Output, signature: str, workers: Workers) -> Searched:
    """Search every block row.

    Args:
        plan: what is searched.
        store: the vectors, in the plan's blocks.
        lengths: (n,) of the vectors.
        output: block rows are written to `_blocks/SIGNATURE/`, and those that are there already are taken from there.
        signature: of the vectors and the plan.
        workers: how many tasks at a time.

    Raises:
        JobRefused: a task failed again and again, or the output fails.
    """
    searched = Searched([Growth(plan.count, threshold.min_samples) for threshold in plan.thresholds])
    columns = ("million pairs", "block rows")
    total = sum(plan.pairs(row) for row in range(plan.rows)) // MILLION
    with Progress(columns, total, rate="million pairs") as progress:
        waiting = []
        for row in range(plan.rows):
            data = output.read_bytes(_name(signature, row))
            if data is None:
                waiting.append(row)
                continue
            searched.take(unpack(data))
            searched.resumed += 1
            progress.skip(**_counts(plan, row))
        for row, found in _Tasks(plan, store, lengths, workers).run(waiting, searched):
            searched.compared += found.compared
            output.write_bytes(_name(signature, row), pack(found))
            progress.advance(**_counts(plan, row))
    return searched


def forget(output: Output, signature: str = "") -> None:
    """Delete the block rows of one search, or those of all searches with this output."""
    for path in output.list(f"{FOLDER}/{signature}".rstrip("/")):
        output.delete(path)


class _Tasks:
    def __init__(self, plan: Plan, store: Store, lengths: Floats, workers: Workers) -> None:
        self._plan, self._workers = plan, workers
        self._given = (plan, store.references, ray.put(lengths))
        options: dict[str, Any] = {"num_cpus": workers.cpus, "num_gpus": workers.gpus}
        self._task = ray.remote(_search_row).options(**options, runtime_env={"env_vars": ONE_THREAD})

    def run(self, rows: Sequence[int], searched: Searched) -> Any:
        """Yield (row, what it found), in the order in which they end; `searched` has taken each by then."""
        waiting, running = list(reversed(rows)), dict[Any, int]()
        known = self._known(searched)
        try:
            while waiting or running:
                while waiting and len(running) < self._workers.count:
                    row = waiting.pop()
                    running[self._task.remote(*self._given, row, known)] = row
                (done, *_), _ = ray.wait(list(running))
                row = running.pop(done)
                found: RowFound = ray.get(done)
                searched.take(found)
                known = self._known(searched)
                yield row, found
        except RayError as error:
            why = " ".join(str(error).split())[-300:]
            raise JobRefused(f"A search task failed; what is complete stays, run the same again. [{why}]") from error

    def _known(self, searched: Searched) -> Any:
        return ray.put([growth.known() for growth in searched.growths])


def _search_row(plan: Plan, blocks: tuple[Any, ...], lengths: Floats, row: int, known: Sequence[Known]) -> RowFound:
    """One task: numpy alone, unless Ray gave it a GPU that torch can use."""

    def units(number: int) -> Units:
        return Units(ray.get(blocks[number]), lengths[plan.points(number)])

    return search_row(plan, row, units, known, _engine())


def _engine() -> Any:
    if ray.get_gpu_ids():
        import torch  # noqa: PLC0415 - seconds and half a gigabyte, on a node that has a GPU

        if torch.cuda.is_available():
            from jobs.clustering.cuda import CudaEngine  # noqa: PLC0415

            return CudaEngine()
    return HostEngine()


def _name(signature: str, row: int) -> str:
    return f"{FOLDER}/{signature}/{row:06}.npz"


def _counts(plan: Plan, row: int) -> dict[str, int]:
    before = sum(plan.pairs(earlier) for earlier in range(row))
    return {"million pairs": (before + plan.pairs(row)) // MILLION - before // MILLION, "block rows": 1}
