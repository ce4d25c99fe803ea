"""Analyse every image of a folder or bucket by the running application, into parquet.

    python -m jobs.analyze --input data/photos --output data/analysed --analyses blur,quality,embedding

Beside a running Panoptes, or as `ray job submit -- python -m jobs.analyze …`. Input and output are folders or URLs of
fsspec (`s3://bucket/prefix`). Each image has one row in `images/part=NNNNN/*.parquet`, with the weights that answered,
or with an `error` if it cannot be read. A job that was killed can be started again: complete parts are kept.

Exit status: 0; 1 when a model or a file was unavailable for some image (the same command tries those parts again) or a
model refused an image (trying again does not help); 2 when the job cannot start or continue.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from configs.prompts import CATEGORIES, load_prompts
from configs.settings import Settings, load_settings
from deployments.models.clip.settings import ClipSettings
from deployments.runtime.calls import in_object_store
from deployments.specs import analyses as known_analyses
from deployments.wire.foreign import named
from jobs.analyze.analyses import DEFAULT
from jobs.analyze.pictures import AnalysisInputs
from jobs.analyze.plan import MANIFEST, REPORT, AnalysisPlan, Part, clear, complete, manifests_of, parts_of
from jobs.analyze.source import Source
from jobs.analyze.summary import summarize
from jobs.analyze.working import Worker, ask_weights, deployments, do_as_tasks, served_by
from jobs.report import render
from jobs.runtime.arguments import whole
from jobs.runtime.asking import ModelCaller
from jobs.runtime.errors import JobRefused, command_line
from jobs.runtime.output import open_output
from jobs.runtime.progress import Progress
from jobs.runtime.running import APPLICATION, connect, node_count

if TYPE_CHECKING:
    from deployments.models.clip.weights import ClipWeights

PART_SIZE, IN_FLIGHT = 500, 64


def run(options: argparse.Namespace) -> int:
    """Analyse by the running application; returns the exit status."""
    analyses = parse_analyses(options.analyses)
    settings = load_settings()
    running = connect(options.application)
    handles = {name: running.handle(name) for name in deployments(analyses)}
    nodes = node_count()
    tasks = options.tasks if options.tasks is not None else nodes if nodes > 1 else 0
    return analyze(options, settings, handles, tasks)


def analyze(options: argparse.Namespace, settings: Settings, handles: Mapping[str, Any], tasks: int) -> int:
    """Analyse by these handles, by deployment, with `tasks` Ray tasks at a time; 0: in this process."""
    started = time.monotonic()
    plan = _plan(options, settings, handles)
    parts = parts_of(plan.source.find(), options.part_size)
    kept = [] if options.force else complete(plan, parts)
    if replaced := clear(plan.output, kept):
        print(f"{replaced} parts in {plan.output.shown} were of other images, analyses or weights, or are not complete")
    plan.output.delete(MANIFEST)
    _do(plan, parts, kept, handles, tasks)
    totals = _totals(plan, parts)
    seconds = time.monotonic() - started
    plan.output.write_bytes(REPORT, render(summarize(plan, parts, str(timedelta(seconds=round(seconds))))))
    done = {"complete": totals["incomplete_parts"] == 0, "seconds": round(seconds, 2)}
    plan.output.write_json(MANIFEST, done | totals)
    print(
        f"{totals['images']:,} images in {plan.output.shown}: {totals['unreadable']:,} are no pictures that can be "
        f"read, {totals['failed']:,} failed otherwise; {len(kept)} of {len(parts)} parts were there already"
    )
    return 1 if totals["incomplete_parts"] or totals["failed"] else 0


def _plan(options: argparse.Namespace, settings: Settings, handles: Mapping[str, Any]) -> AnalysisPlan:
    analyses = parse_analyses(options.analyses)
    prompt_set = settings.of(ClipSettings).prompt_set
    prompts = load_prompts().classifier[prompt_set]
    weights = asyncio.run(ask_weights(handles, ModelCaller()))
    clip = cast("ClipWeights", weights["Clip"][0]) if "Clip" in weights else None
    limits = settings.limits
    return AnalysisPlan(
        source=Source(options.input),
        output=open_output(options.output),
        application=options.application,
        wanted=AnalysisInputs(analyses, clip.image.size if clip else 0, limits.max_pixels, limits.max_image_bytes),
        served=served_by(analyses, weights),
        prompt_set=prompt_set,
        classes=[list(prompts[category]) for category in CATEGORIES],
        in_flight=options.in_flight,
    )


def _do(
    plan: AnalysisPlan, parts: Sequence[Part], kept: Sequence[Part], handles: Mapping[str, Any], tasks: int
) -> None:
    """Do the parts that are not kept; a part whose task fails is reported and stays incomplete."""
    with Progress(("images", "errors"), sum(len(part.images) for part in parts)) as progress:
        progress.skip(images=sum(len(part.images) for part in kept))
        numbers = {part.number for part in kept}
        todo = [part for part in parts if part.number not in numbers]

        def seen(images: int, errors: int) -> None:
            progress.advance(images=images, errors=errors)

        def failed(part: Part, error: BaseException) -> None:
            progress.note(f"{part.name} failed ({named(error)}): give the same command again")

        if tasks:
            do_as_tasks(plan, todo, tasks, seen, failed)
        else:
            asyncio.run(Worker(plan, handles, in_object_store, ModelCaller()).do(todo, seen))


def _totals(plan: AnalysisPlan, parts: Sequence[Part]) -> dict[str, Any]:
    """The totals over the manifests of the parts."""
    manifests = manifests_of(plan.output, parts)
    counts = {name: sum(one.get(name, 0) for one in manifests) for name in ("images", "unreadable", "failed")}
    answered = {name: sum(one.get("answered", {}).get(name, 0) for one in manifests) for name in plan.wanted.analyses}
    return {
        "input": plan.source.shown,
        "parts": len(parts),
        "incomplete_parts": sum(one.get("complete") is not True for one in manifests),
        **counts,
        "answered": answered,
        "weights": {name: asdict(one) for name, one in plan.served.items()},
    }


def parse_analyses(text: str) -> tuple[str, ...]:
    """The names of analyses in a comma-separated list; JobRefused for an unknown one."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known_analyses()]
    if unknown or not names:
        what = f"There is no analysis {', '.join(map(repr, unknown))}" if unknown else "No analysis is named"
        raise JobRefused(f"{what}: --analyses takes {', '.join(known_analyses())}, by commas.")
    return names


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.analyze", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", required=True, help="folder or URL; subfolders are included")
    parser.add_argument("--output", required=True, help="folder or URL")
    parser.add_argument("--analyses", default=",".join(DEFAULT), help=f"with commas, of {', '.join(known_analyses())}")
    parser.add_argument("--application", default=APPLICATION, help="the application's name in Serve")
    parser.add_argument("--force", action="store_true", help="analyse complete parts again")
    size_help = f"images in a part, which is written as a whole (default: {PART_SIZE})"
    parser.add_argument("--part-size", type=whole(1), default=PART_SIZE, metavar="N", help=size_help)
    flight_help = f"most images at a time in a process; a quarter of that for whole pictures (default: {IN_FLIGHT})"
    parser.add_argument("--in-flight", type=whole(1), default=IN_FLIGHT, metavar="N", help=flight_help)
    tasks_help = "parts at a time as Ray tasks; 0: in this process (default: 0 on one node, otherwise one per node)"
    parser.add_argument("--tasks", type=whole(0), metavar="N", help=tasks_help)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command_line(lambda: run(parse()))
