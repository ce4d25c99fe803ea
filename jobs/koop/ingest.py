"""Fetch the traffic decisions of each day with their images and attachments, classify all pictures and keep the maps.

    ray job submit -- python -m jobs.koop.ingest --start 2023-01-01 --end 2023-12-31 --output data/koop

Needs a running Panoptes, whose CLIP classifies. Exit status: 0 if all days that are over are complete, 1 if not (the
same command tries again), 2 if the run cannot start.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import ray

from configs.settings import SettingsError, load_settings
from deployments.models.clip.settings import ClipSettings
from jobs.koop.arguments import Arguments, read
from jobs.koop.cluster import Board, Job, ServedClip, ingest_day
from jobs.koop.day import Counts, choose
from jobs.koop.day_files import Manifest, forget, remove_parts
from jobs.koop.driver import COLUMNS, Driver, IngestionPlan, Run, counts_of, plan
from jobs.koop.errors import KoopError
from jobs.koop.fetching.cluster_pace import ClusterPace
from jobs.koop.fetching.pace import LocalPace, TokenBucket
from jobs.koop.fetching.web import Web
from jobs.koop.options import Asked
from jobs.koop.search.sru import Sru
from jobs.koop.summary import write_report
from jobs.runtime.asking import NoAnswer
from jobs.runtime.errors import JobRefused, command_line
from jobs.runtime.output import Output, open_output
from jobs.runtime.progress import Progress
from jobs.runtime.running import connect, node_count


def run(words: Sequence[str]) -> int:
    """Run the ingestion for a command line, and return the exit status.

    Raises:
        JobRefused: the run cannot start.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        raise JobRefused(str(error)) from None
    arguments = read(words, settings.limits.max_pixels)
    if arguments.dry_run:
        return asyncio.run(_count(arguments))
    connect(arguments.application).handle("Clip")
    return asyncio.run(_ingest(arguments, settings.of(ClipSettings), open_output(arguments.output)))


async def _count(arguments: Arguments) -> int:
    """Print the number of decisions of each day. A day that cannot be counted is reported, and the others go on."""
    pace = LocalPace(TokenBucket(arguments.rate, arguments.burst))
    total = failed = 0
    async with Web(arguments.endpoints, pace) as web:
        sru = Sru(web, arguments.endpoints.sru)
        for day in arguments.days:
            try:
                results = await sru.find(arguments.options.selection.cql(day))
            except KoopError as error:
                failed += 1
                print(f"{day} failed: {error}", file=sys.stderr)
                continue
            chosen, _ = choose(results, arguments.options)
            attachments = sum(len(record.attachments) for record in chosen)
            note = "" if results.complete else f" (the search told {results.stated})"
            print(f"{day}: {len(results.records):,} found{note}, {len(chosen):,} taken, {attachments:,} attachments")
            total += len(chosen)
    print(f"{total:,} decisions on {len(arguments.days) - failed:,} days; nothing was written.")
    return 1 if failed else 0


async def _ingest(arguments: Arguments, clip: ClipSettings, output: Output) -> int:
    try:
        asked = await ServedClip(arguments.application, clip.prompt_set).asked()
    except NoAnswer as error:
        raise JobRefused(f"{error}: see /health of the application {arguments.application!r}.") from error
    planned = await plan(output, arguments.days, arguments.options, asked, force=arguments.force)
    await asyncio.to_thread(remove_parts, output, planned.complete)
    _announce(planned, asked, output)
    done = await _do(Job(arguments, output, clip.prompt_set, clip.max_batch), planned)
    done.manifests |= planned.complete
    warnings = _warnings(done, arguments, asked)
    await asyncio.to_thread(write_report, output, done, asked, warnings)
    _conclude(done, arguments, output, warnings)
    return 0 if done.ok else 1


async def _do(job: Job, planned: IngestionPlan) -> Run:
    """Process the planned days on the cluster."""
    arguments = job.arguments
    # Starts the actor of the pace from this process, so that it lives as long as the run.
    await ClusterPace(arguments.rate, arguments.burst).turn()
    board: Any = ray.remote(Board).options(num_cpus=0).remote()

    async def work(day: date) -> Manifest:
        manifest: Manifest = await ingest_day.remote(job, day, board)
        return manifest

    async def read_board() -> dict[date, Counts]:
        counts: dict[date, Counts] = await board.read.remote()
        return counts

    with Progress(COLUMNS, len(arguments.days), rate="images") as progress:
        for manifest in planned.complete.values():
            counts = counts_of(manifest)
            progress.skip(days=1, decisions=counts.records, images=counts.images, kept=counts.kept)
        driver = Driver(work, read_board, progress, arguments.days_in_flight)
        return await driver.run(planned.todo, partial(forget, job.output) if arguments.force else None)


def _announce(planned: IngestionPlan, asked: Asked, output: Output) -> None:
    print(f"{len(planned.todo):,} days to do, {len(planned.complete):,} complete already, into {output.shown}")
    for day, why in planned.again.items():
        print(f"{day} is done again: {why}")
    print(f"Pictures are classified by {asked.weights}.", flush=True)
    if output.local and node_count() > 1:
        print(f"Several machines write into {output.shown}: it must be a folder that they share.", file=sys.stderr)


def _warnings(done: Run, arguments: Arguments, asked: Asked) -> list[str]:
    """Warnings that readers of the results must know."""
    found: list[str] = []
    if asked.bundled:
        found.append(
            f"{asked.weights} are bundled weights: they know the scenes that Panoptes draws itself and nothing else. "
            "Every row says so. For real decisions serve a hub checkpoint (WEIGHTS=hub)."
        )
    selection = arguments.options.selection
    deciders = {name for manifest in done.manifests.values() for name in manifest["deciders"]}
    silent = [name for name in (*selection.provinces, *selection.municipalities) if name not in deciders]
    if silent and done.manifests:
        found.append(f"No decision of these days is by {', '.join(silent)}: check how it is written.")
    return found


def _conclude(done: Run, arguments: Arguments, output: Output, warnings: list[str]) -> None:
    total = [counts_of(manifest) for manifest in done.manifests.values()]
    records, days = sum(counts.records for counts in total), len(done.manifests)
    print(f"Processed {days:,} of {len(arguments.days):,} days from {arguments.days[0]} to {arguments.days[-1]}")
    print(f"Decisions: {records:,}, {records / days if days else 0:.1f} a day")
    print(f"Images: {sum(counts.images for counts in total):,}, kept {sum(counts.kept for counts in total):,}")
    print(f"Report: {output.shown.rstrip('/')}/report.html")
    for day, why in sorted(done.failed.items()):
        print(f"{day} failed: {why}", file=sys.stderr)
    for day, manifest in sorted(done.incomplete.items()):
        print(f"{day} is not complete: {'; '.join(manifest['reasons'])}", file=sys.stderr)
    for warning in warnings:
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    command_line(lambda: run(sys.argv[1:]))
