"""The workers that search the block rows: threads of this process, or tasks of a Ray cluster if one runs.

All workers read the same blocks, which are held once in this process, or once per node in Ray's object store, which
spills them to disk if memory is short.
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

# There are as many tasks as cores, so each has one thread. Ray itself sets only OMP_NUM_THREADS.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PER_GPU = 4  # workers per GPU: while one multiplies, the others merge what they found, each on a core


@dataclass(frozen=True)
class Workers:
    """How many workers run in parallel, and the `cpus` and the share of a GPU (`gpus`) that each of them reserves."""

    count: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        if self.gpus:
            return f"{self.count} at a time, on {self.gpus:g} of a GPU each"
        beside = "" if self.cpus else ", which is not reserved: other work in this Ray cluster has reserved the cores"
        return f"{self.count} at a time, on a core each{beside}"


def joined_ray() -> str | None:
    """Join the Ray cluster that runs here or at `RAY_ADDRESS`.

    Returns:
        The name of the cluster for messages; None if none runs here and `RAY_ADDRESS` is not set.

    Raises:
        JobRefused: the cluster at `RAY_ADDRESS` does not answer, or a cluster asks for a token.
    """
    try:
        join()
    except JobRefused as refused:
        if os.environ.get("RAY_ADDRESS") or isinstance(refused.__cause__, AuthenticationError):
            raise
        return None
    return f"Ray at {ray.get_runtime_context().gcs_address}"


def threads_here(asked: int) -> Workers:
    """Use `asked` threads; 0 means four per GPU that torch can use, or without a GPU one per core."""
    if gpus := _gpus_here():
        return Workers(asked or min(PER_GPU * gpus, cores()), 0.0, 1 / PER_GPU)
    return Workers(asked or cores(), 1.0, 0.0)


def tasks_in_ray(asked: int) -> Workers:
    """Use `asked` tasks; 0 means four per free GPU, or without a GPU one per free core.

    Free resources may be spread over nodes and GPUs in pieces too small for a task. So a task reserves a share of a GPU
    only if so much is free that some GPU must have that share free, and a core only if some node must have one free.
    Otherwise tasks reserve nothing: they share the cores with other work and need not wait for it to end.
    """
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    free_cores, gpus = float(free.get("CPU", 0)), float(free.get("GPU", 0))
    share = 1 / PER_GPU
    if 0 < share * ray.cluster_resources().get("GPU", 0) <= gpus:  # type: ignore[no-untyped-call]
        # No core is reserved as well: the free cores may be on other nodes than the GPU.
        return Workers(asked or max(1, int(min(gpus / share, free_cores))), 0.0, share)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]  # type: ignore[no-untyped-call]
    return Workers(asked or max(1, int(free_cores)), 1.0 if nodes and free_cores >= len(nodes) else 0.0, 0.0)


class Store:
    """Stores blocks in this process's memory or, with `in_ray`, in Ray's object store, which is read without copies."""

    def __init__(self, in_ray: bool) -> None:
        self._in_ray = in_ray
        self._held: list[Any] = []

    def another(self) -> "Store":
        """An empty store of the same kind."""
        return Store(self._in_ray)

    def append(self, block: Vectors) -> None:
        """Add a block, which must not be changed afterwards."""
        self._held.append(ray.put(block) if self._in_ray else block)

    @property
    def held(self) -> tuple[Any, ...]:
        """The blocks, or with `in_ray` references to them."""
        return tuple(self._held)

    def blocks(self) -> list[Vectors]:
        """The blocks; those in Ray are read-only."""
        return list(ray.get(self._held)) if self._in_ray else self._held


class Searching(NamedTuple):
    """What is searched: the blocks of vectors, their outlines if they are used, and the lengths of all vectors (n,).

    `width`: how many numbers of a vector are multiplied: those of its outline, or all.
    """

    plan: SearchPlan
    vectors: Store
    outlines: Store | None
    lengths: Floats
    width: int


def prepare(plan: SearchPlan, store: Store, held: Held, workers: Workers) -> Searching:
    """Compute the outlines of the vectors in `store`, if they make the search faster."""
    # A GPU multiplies so fast that computing the open pairs on the CPU would take longer.
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
    """Searches block rows in parallel."""

    def share(self, known: list[GrowthSnapshot]) -> Any:
        """Prepare snapshots once, to be passed to several calls of `submit`."""

    def submit(self, row: int, known: Any) -> Future[RowFound]:
        """Start to search a block row; `known` is what `share` returned."""

    def close(self) -> None:
        """Cancel the searches that have not finished."""


class RayTasks:
    """Searches each block row in a Ray task, with NumPy, or on the GPU that Ray assigned to the task."""

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
        """Nothing to do: Ray ends the tasks of a driver when the driver ends."""


class Threads:
    """Searches each block row in a thread of this process, with a BLAS of one thread."""

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
    """The body of a Ray task."""

    def block(number: int) -> Block:
        return _block(plan, number, ray.get(vectors[number]), ray.get(outlines[number]) if outlines else None, lengths)

    return search_row(plan, row, block, known, _engine(0) if ray.get_gpu_ids() else HostEngine())


def _block(plan: SearchPlan, number: int, vectors: Vectors, outlines: Singles | None, lengths: Floats) -> Block:
    """Block `number` from its vectors; `lengths` (n,) are those of all vectors."""
    return Block(Units(vectors, lengths[plan.points(number)]), outlines)


def _gpus_here() -> int:
    """The number of GPUs of this machine that torch can use."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0  # without a driver, there is no need to import torch, which takes seconds and half a gigabyte
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _engine(number: int) -> Engine:
    """The engine of the worker with this number: on one of the GPUs, in turn, or on the CPU if torch can use none."""
    import torch

    if not torch.cuda.is_available():
        return HostEngine()
    from jobs.clustering.cuda import CudaEngine

    return CudaEngine(f"cuda:{number % torch.cuda.device_count()}")
