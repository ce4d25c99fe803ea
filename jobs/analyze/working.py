"""Does the parts of a plan, in this process or as Ray tasks."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import RayError

from deployments.pictures.pixels import Pixels
from deployments.runtime.calls import in_object_store
from deployments.runtime.weights import Weights
from deployments.specs import analyses
from jobs.analyze.analyses import Served, Values, schema, served, stamps
from jobs.analyze.looking import ImageAnalyzer, Row
from jobs.analyze.plan import AnalysisPlan, Part
from jobs.analyze.source import SourceFile
from jobs.runtime.asking import ModelCaller, NoAnswer
from jobs.runtime.errors import JobRefused
from jobs.runtime.running import connect

# Parts at a time in a process: while the last images of one part are computed, the next part's images are read.
PARTS_AT_ONCE = 2
# Small, because the deployments reserve most CPUs of a small machine, and a task mostly waits for models.
TASK_CPUS = 0.02
TASK_RETRIES = 3

Seen = Callable[[int, int], None]
Failed = Callable[[Part, BaseException], None]


@dataclass(frozen=True)
class Done:
    """Counts of a written part: all images, those that could not be decoded, and those that failed otherwise."""

    images: int
    unreadable: int
    failed: int


class Worker:
    """Does parts of a plan in one event loop."""

    def __init__(
        self, plan: AnalysisPlan, handles: Mapping[str, Any], put: Callable[[Pixels], Any], asker: ModelCaller
    ) -> None:
        """`handles`: by the deployment's name; `put` and `asker`: as in `ImageAnalyzer`."""
        self._plan, self._handles, self._asker = plan, handles, asker
        self._analyzer = ImageAnalyzer(
            plan.source, handles, plan.wanted, plan.prompt_set, in_flight=plan.in_flight, put=put, asker=asker
        )

    async def do(self, parts: Sequence[Part], seen: Seen) -> list[Done]:
        """Do parts, two at a time; can be called once. `seen` is called with counts of images and of failures.

        Raises:
            JobRefused: the models are gone or serve other weights now, or the output fails.
        """
        slots = asyncio.Semaphore(PARTS_AT_ONCE)

        async def one(part: Part) -> Done:
            async with slots:
                return await self._do(part, seen)

        try:
            with contextlib.closing(self._analyzer):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(part)) for part in parts]
        except BaseExceptionGroup as errors:
            raise _leaf(errors) from errors
        return [task.result() for task in tasks]

    async def _do(self, part: Part, seen: Seen) -> Done:
        async def look(images: Sequence[SourceFile]) -> list[Row]:
            rows = await self._analyzer.look(images)
            seen(len(rows), sum(bool(row.problems) for row in rows))
            return rows

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look(images)) for images in self._chunks(part)]
        rows = [row for task in tasks for row in task.result()]
        weights = await ask_weights(self._handles, self._asker)
        if served_by(self._plan.wanted.analyses, weights) != self._plan.served:
            raise JobRefused(
                f"The application serves other weights since {part.name} began: what is complete stays. Give the same "
                "command again."
            )
        return await asyncio.to_thread(write, self._plan, part, rows)

    def _chunks(self, part: Part) -> list[tuple[SourceFile, ...]]:
        size = self._analyzer.chunk
        return [part.images[start : start + size] for start in range(0, len(part.images), size)]


def do_as_tasks(plan: AnalysisPlan, parts: Sequence[Part], at_once: int, seen: Seen, failed: Failed) -> list[Done]:
    """As `Worker.do`, but each part is a Ray task anywhere in the cluster, `at_once` of them at a time.

    `failed` is called with a part whose task fails even after Ray's retries, and the others go on.
    """
    task = ray.remote(num_cpus=TASK_CPUS, max_retries=TASK_RETRIES, scheduling_strategy="SPREAD")(_do_one)
    waiting, running, done = deque(parts), dict[Any, Part](), list[Done]()
    while waiting or running:
        while waiting and len(running) < at_once:
            part = waiting.popleft()
            running[task.remote(plan, part)] = part
        ended, _ = ray.wait(list(running), num_returns=1)
        for reference in ended:
            part = running.pop(reference)
            try:
                one: Done = ray.get(reference)
            except RayError as error:
                cause = getattr(error, "cause", None) or error
                if isinstance(cause, JobRefused):
                    raise cause from None
                failed(part, cause)
                seen(len(part.images), len(part.images))
            else:
                seen(one.images, one.unreadable + one.failed)
                done.append(one)
    return done


def _do_one(plan: AnalysisPlan, part: Part) -> Done:
    running = connect(plan.application)
    handles = {name: running.handle(name) for name in deployments(plan.wanted.analyses)}
    [done] = asyncio.run(Worker(plan, handles, in_object_store, ModelCaller()).do([part], lambda images, failed: None))
    return done


def deployments(names: Sequence[str]) -> list[str]:
    """The deployments that these analyses ask, each once."""
    return list(dict.fromkeys(analyses()[name][1].name for name in names))


async def ask_weights(handles: Mapping[str, Any], asker: ModelCaller) -> dict[str, tuple[Weights, ...]]:
    """The weights that each deployment serves now; JobRefused when one does not answer."""
    found: dict[str, tuple[Weights, ...]] = {}
    for deployment, handle in handles.items():
        try:
            found[deployment] = await asker.ask(deployment, handle.weights.remote)
        except NoAnswer as error:
            raise JobRefused(f"{error}: see the logs of the deployment {deployment}.") from error
    return found


def served_by(names: Sequence[str], weights: Mapping[str, Sequence[Weights]]) -> dict[str, Served]:
    """The weights behind each analysis, from those of the deployments."""
    return {name: served(weights[analyses()[name][1].name]) for name in names}


def write(plan: AnalysisPlan, part: Part, rows: Sequence[Row]) -> Done:
    """Write a part's rows, and then its manifest."""
    table = pa.Table.from_pylist([_columns(plan, row) for row in rows], schema=schema(plan.wanted.analyses))
    unreadable = sum(not row.readable for row in rows)
    failed = sum(bool(row.problems) and row.readable for row in rows)
    plan.output.write_table(part.table, table)
    plan.output.write_json(
        part.manifest,
        {
            "part": part.number,
            "made_from": plan.made_from(part),
            "complete": not any(row.away for row in rows),
            "images": len(rows),
            "unreadable": unreadable,
            "failed": failed,
            "answered": {name: sum(name in row.answered for row in rows) for name in plan.wanted.analyses},
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return Done(len(rows), unreadable, failed)


def _columns(plan: AnalysisPlan, row: Row) -> Values:
    answered = {name: plan.served[name] for name in row.answered}
    return {**row.values, **stamps(answered), "error": "; ".join(row.problems) or None}


def _leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks: a JobRefused where there is one, otherwise the first error."""
    refusals, _ = errors.split(JobRefused)
    error: BaseException = refusals or errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
