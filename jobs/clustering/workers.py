"""Who searches the block rows: threads of this process, or tasks of a Ray cluster where one runs.

Both read the same blocks, which are held once: here, or once a node in Ray's object store, spilled to disk where memory
is short.
"""

import ctypes
import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import ray
from ray.exceptions import AuthenticationError
from threadpoolctl import threadpool_limits

from configs.threads import cores
from deployments.clustering.dbscan import Floats, Singles, Units
from deployments.clustering.growth import GrowthSnapshot
from deployments.clustering.outline import choose_outliner, sampled
from jobs.clustering.rows import Block, Engine, HostEngine, RowFound, SearchPlan, search_row
from jobs.clustering.vectors import Held, Vectors
from jobs.runtime.errors import JobRefused
from jobs.runtime.joining import join

# A task has one core: as many tasks as cores, not each with as many threads as cores. Ray sets OMP_NUM_THREADS alone.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PER_GPU = 4  # while one multiplies, the others merge what they found, on a core each


@dataclass(frozen=True)
class Workers:
    """So many at a time, each with `cpus` of a core reserved, and `gpus` of a GPU."""

    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        if self.gpus:
            return f"{self.count} at a time, on {self.gpus:g} of a GPU each"
        beside = "" if self.cpus else ", which is not reserved: what else runs in this Ray has reserved the cores"
        return f"{self.count} at a time, on a core each{beside}"


def joined_ray() -> str | None:
    """Join the Ray that runs here or at `RAY_ADDRESS`, and say which; None where none runs and none was named.

    Raises:
        JobRefused: the one that was named does not answer, or the one here asks for a token.
    """
    try:
        join()
    except JobRefused as refused:
        if os.environ.get("RAY_ADDRESS") or isinstance(refused.__cause__, AuthenticationError):
            raise
        return None
    return f"Ray at {ray.get_runtime_context().gcs_address}"


def threads_here(asked: int) -> Workers:
    """Four threads for each GPU that torch can use, or else one for each core, unless a number is asked for."""
    if gpus := _gpus_here():
        return Workers(asked or min(PER_GPU * gpus, cores()), 0.0, 1 / PER_GPU)
    return Workers(asked or cores(), 1.0, 0.0)


def tasks_in_ray(asked: int) -> Workers:
    """Four tasks for each free GPU, or else as many as there are free cores, unless a number is asked for.

    What is free may be spread over nodes and GPUs in pieces that no task fits into. So a task reserves a share of a GPU
    only where so much is free that one of them has the share, and a core only where one of the nodes must have it.
    Otherwise tasks reserve none: they share the cores with what else runs here and need not wait for it to end.
    """
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    free_cores, gpus = float(free.get("CPU", 0)), float(free.get("GPU", 0))
    share = 1 / PER_GPU
    if 0 < share * ray.cluster_resources().get("GPU", 0) <= gpus:  # type: ignore[no-untyped-call]
        # No core beside it: the free ones may be on other nodes.
        return Workers(asked or max(1, int(min(gpus / share, free_cores))), 0.0, share)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]  # type: ignore[no-untyped-call]
    return Workers(asked or max(1, int(free_cores)), 1.0 if nodes and free_cores >= len(nodes) else 0.0, 0.0)


class Store:
    """Blocks of numbers: in this process's memory or, `in_ray`, in Ray's object store, which is read without a copy."""

    def __init__(self, in_ray: bool) -> None:
        self._in_ray = in_ray
        self._held: list[Any] = []

    def another(self) -> "Store":
        """An empty one in the same place."""
        return Store(self._in_ray)

    def append(self, block: Vectors) -> None:
        """Take a block; it is not to be written to afterwards."""
        self._held.append(ray.put(block) if self._in_ray else block)

    @property
    def held(self) -> tuple[Any, ...]:
        """The blocks, or the references to them, for tasks."""
        return tuple(self._held)

    def blocks(self) -> list[Vectors]:
        """The blocks; Ray's are read-only."""
        return list(ray.get(self._held)) if self._in_ray else self._held


class Searching(NamedTuple):
    """What is searched: vectors by block, their outlines where there are any, and all their lengths (n,).

    `width`: numbers of a vector that are multiplied, its outline's or all of them.
    """

    plan: SearchPlan
    vectors: Store
    outlines: Store | None
    lengths: Floats
    width: int


def prepare(plan: SearchPlan, store: Store, held: Held, workers: Workers) -> Searching:
    """Choose the outlines of vectors, and draw them where they help; `store` has the vectors."""
    # A GPU multiplies so fast that looking at open pairs would take longer.
    if not workers.gpus:
        sample = held.some(sampled(plan.count)).exact()
        outliner = choose_outliner(sample, plan.count, max(one.eps for one in plan.thresholds))
        if outliner is not None:
            outlines = store.another()
            for number in range(plan.rows):
                outlines.append(outliner.outline(held.units(number).exact()))
            return Searching(plan, store, outlines, held.lengths, outliner.width)
    return Searching(plan, store, None, held.lengths, held.dimensions)


class Pool(Protocol):
    """Searches block rows side by side."""

    def share(self, known: list[GrowthSnapshot]) -> Any:
        """What several `submit` are given of what is known."""

    def submit(self, row: int, known: Any) -> Future[RowFound]:
        """Begin to search a block row."""

    def close(self) -> None:
        """Leave what has not ended."""


class RayTasks:
    """Each block row a task: numpy alone, unless Ray gave it a GPU that torch can use."""

    def __init__(self, searching: Searching, workers: Workers) -> None:
        plan, vectors, outlines, lengths, _ = searching
        self._given = (plan, vectors.held, outlines.held if outlines else None, ray.put(lengths))
        options: dict[str, Any] = {"num_cpus": workers.cpus, "num_gpus": workers.gpus}
        self._task = ray.remote(_search_row).options(**options, runtime_env={"env_vars": ONE_THREAD})

    def share(self, known: list[GrowthSnapshot]) -> Any:
        return ray.put(known)

    def submit(self, row: int, known: Any) -> Future[RowFound]:
        future: Future[RowFound] = self._task.remote(*self._given, row, known).future()
        return future

    def close(self) -> None:
        """Ray ends the tasks of a driver with it."""


class Threads:
    """Each block row in a thread of this process, with a BLAS of one thread."""

    def __init__(self, searching: Searching, workers: Workers) -> None:
        self._plan, self._lengths = searching.plan, searching.lengths
        self._vectors = searching.vectors.blocks()
        self._outlines: list[Any] | None = searching.outlines.blocks() if searching.outlines else None
        self._on_gpu, self._numbers, self._own = workers.gpus > 0, itertools.count(), threading.local()
        self._limits = threadpool_limits(1, "blas")
        self._closed = threading.Event()
        self._threads = ThreadPoolExecutor(workers.count, "search", self._begin)

    def share(self, known: list[GrowthSnapshot]) -> Any:
        return known

    def submit(self, row: int, known: Any) -> Future[RowFound]:
        return self._threads.submit(self._search, row, known)

    def close(self) -> None:
        self._closed.set()
        self._threads.shutdown(cancel_futures=True)
        self._limits.restore_original_limits()

    def _begin(self) -> None:
        self._own.engine = _engine(next(self._numbers)) if self._on_gpu else HostEngine()

    def _search(self, row: int, known: list[GrowthSnapshot]) -> RowFound:
        return search_row(self._plan, row, self._block, known, self._own.engine, self._closed.is_set)

    def _block(self, number: int) -> Block:
        outlines = self._outlines[number] if self._outlines else None
        return _block(self._plan, number, self._vectors[number], outlines, self._lengths)


def _search_row(
    plan: SearchPlan,
    vectors: Sequence[Any],
    outlines: Sequence[Any] | None,
    lengths: Floats,
    row: int,
    known: Sequence[GrowthSnapshot],
) -> RowFound:
    """One task."""

    def block(number: int) -> Block:
        return _block(plan, number, ray.get(vectors[number]), ray.get(outlines[number]) if outlines else None, lengths)

    return search_row(plan, row, block, known, _engine(0) if ray.get_gpu_ids() else HostEngine())


def _block(plan: SearchPlan, number: int, vectors: Vectors, outlines: Singles | None, lengths: Floats) -> Block:
    """A block of these vectors; `lengths` are of all."""
    return Block(Units(vectors, lengths[plan.points(number)]), outlines)


def _gpus_here() -> int:
    """GPUs of this machine that torch can use."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0  # no driver; torch, which takes seconds and half a gigabyte, need not be asked
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _engine(number: int) -> Engine:
    """Of a worker with this number, on one of the GPUs that it may use."""
    import torch

    if not torch.cuda.is_available():
        return HostEngine()
    from jobs.clustering.cuda import CudaEngine

    return CudaEngine(f"cuda:{number % torch.cuda.device_count()}")
