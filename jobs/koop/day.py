"""Processes one day: search, fetch, render pages, classify, write. The steps overlap for several publications.

Memory holds only what is being processed: a few publications with a file each, some pictures, and the rows of a part.
"""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from deployments.catalogue.clock import utc_now
from jobs.koop import tables
from jobs.koop.classifier import ClassifiedPicture, Classifier
from jobs.koop.day_files import DayFiles, Manifest, Tables, kept_path
from jobs.koop.fetching.documents import Documents, FetchedFile, Lost, WantedFile
from jobs.koop.fetching.pages import Unread
from jobs.koop.fetching.pictures import PublishedPicture, pictures
from jobs.koop.fetching.web import Retry
from jobs.koop.options import Asked, Options, signature, stated
from jobs.koop.search.records import Record
from jobs.koop.search.sru import Results, Sru
from jobs.koop.tables import Row
from jobs.runtime.output import Output

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PUBLICATIONS_AT_ONCE = 8
PICTURES_AT_ONCE = 32
# A part is written once it has this many publications or rows of images.
PART_PUBLICATIONS, PART_IMAGES = 10, 100
NOT_OVER = "the day was not over"  # the only reason for an incomplete day that is not an error
MOST_ERRORS = 100  # errors listed in a manifest; the table of images has all of them


class DayFailed(Exception):
    """The day could not be finished. The parts that were written are kept for the next try."""


@dataclass(frozen=True)
class Counts:
    """The progress of a day: finished decisions, their classified pictures, and how many of these were kept."""

    records: int = 0
    images: int = 0
    kept: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.records + other.records, self.images + other.images, self.kept + other.kept)


@dataclass(frozen=True)
class Services:
    """The services that a day uses.

    `asked` returns the weights that the classifier serves now; `retries` collects all retries of fetches.
    """

    sru: Sru
    documents: Documents
    classifier: Classifier
    asked: Callable[[], Awaitable[Asked]]
    retries: Sequence[Retry]


def is_over(day: date, moment: datetime) -> bool:
    """Whether a day is over in the Netherlands. Before that, more decisions may be published."""
    return day < moment.astimezone(AMSTERDAM).date()


async def run_day(
    day: date, options: Options, services: Services, output: Output, tell: Callable[[Counts], None]
) -> Manifest:
    """Process what is not done yet of a day, and write and return its manifest.

    `tell` is called with the progress after each publication.

    Raises:
        DayFailed: the weights changed while the day was processed.
        KoopError: the search failed.
        JobRefused: the output cannot be read or written.
    """
    started = utc_now()
    asked = await services.asked()
    made_by = signature(options, asked)
    files = DayFiles(output, day, made_by)
    results = await services.sru.find(options.selection.cql(day))
    chosen, left_out = choose(results, options)
    done = await asyncio.to_thread(files.begin)
    await Pipeline(day, options, services, asked, files, tell).run(chosen, done)
    if await services.asked() != asked:
        raise DayFailed("the application serves other weights than when the day began")
    whole = await asyncio.to_thread(files.gather, {record.identifier for record in chosen})
    about = {
        "date": str(day),
        "started": started.isoformat(timespec="seconds"),
        "ended": utc_now().isoformat(timespec="seconds"),
        "signature": made_by,
        "options": stated(options, asked),
        "weights": {"id": asked.weights, "bundled": asked.bundled},
        "retries": len(services.retries),
        "left_out": dict(sorted(left_out.items())),
        "deciders": sorted({name for record in chosen for name in options.selection.deciders(record)}),
    }
    manifest = about | summary(whole, results, over=is_over(day, started))
    await asyncio.to_thread(files.finish, whole, manifest)
    return manifest


class Pipeline:
    """Processes the publications of a day, from the records of the search to the rows of the parts."""

    def __init__(
        self,
        day: date,
        options: Options,
        services: Services,
        asked: Asked,
        files: DayFiles,
        tell: Callable[[Counts], None],
    ) -> None:
        """`asked` is the classifier of the run. `tell` is called with the progress after each publication."""
        self._day, self._options, self._services, self._asked = day, options, services, asked
        self._files, self._tell = files, tell
        self._counts = Counts()
        self._publications: list[Row] = []
        self._images: list[Row] = []
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(PICTURES_AT_ONCE)

    async def run(self, records: Sequence[Record], done: pa.Table) -> None:
        """Process the publications that are not in the table `done`, and write their rows as parts."""
        known = set(done["identifier"].to_pylist())
        self._add(Counts(done.num_rows, sum(done["images"].to_pylist()), sum(done["kept"].to_pylist())))
        left = iter([record for record in records if record.identifier not in known])

        async def work() -> None:
            for record in left:  # the workers share the iterator
                await self._do(record)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PUBLICATIONS_AT_ONCE):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            await self._write_part()

    async def _do(self, record: Record) -> None:
        rows: list[Row] = []
        async with asyncio.TaskGroup() as group, contextlib.aclosing(self._services.documents.files(record)) as files:
            position = 0
            async for file in files:
                await self._look(file, position, rows, group)
                position += 1
        self._publications.append(tables.publication_row(record, rows))
        self._images += rows
        last = self._publications[-1]
        self._add(Counts(1, last["images"], last["kept"]))
        if len(self._publications) >= PART_PUBLICATIONS or len(self._images) >= PART_IMAGES:
            await self._write_part()

    async def _look(self, file: FetchedFile | Lost, position: int, rows: list[Row], group: asyncio.TaskGroup) -> None:
        """Add the rows of a file; those of its pictures are added once they are classified."""
        about = self._about(file.wanted, file.url, position)
        if isinstance(file, Lost):
            rows.append(about | {"outcome": file.reason, "error": file.error})
        elif len(file.data) < self._options.min_bytes:
            error = f"smaller than {self._options.min_bytes} bytes"
            rows.append(about | {"outcome": "small", "error": error, "bytes": len(file.data)})
        else:
            async with contextlib.aclosing(pictures(file, self._asked.size, self._options)) as found:
                async for picture in found:
                    if isinstance(picture, Unread):
                        rows.append(about | {"page": picture.number, "outcome": "unusable", "error": picture.error})
                        continue
                    await self._room.acquire()
                    group.create_task(self._decide(picture, about, rows))

    async def _decide(self, picture: PublishedPicture, about: Row, rows: list[Row]) -> None:
        try:
            classified = await self._services.classifier.classify(picture.pixels)
            rows.append(about | await asyncio.to_thread(self._done, picture, classified))
        finally:
            self._room.release()

    def _done(self, picture: PublishedPicture, classified: ClassifiedPicture) -> Row:
        """The fields of a classified picture's row. Stores a picture that is kept. Blocks: call it in a thread."""
        decision = classified.decision
        keep = self._options.keeps(decision.category, decision.is_map_or_aerial)
        sha256 = hashlib.sha256(picture.data).hexdigest()
        name = f"{sha256}.{picture.suffix}"
        if keep:
            self._files.add_kept(name, picture.data)
        return vars(decision) | {
            "page": picture.page,
            "outcome": "kept" if keep else "dropped",
            "sha256": sha256,
            "bytes": len(picture.data),
            "width": picture.width,
            "height": picture.height,
            "embedding": classified.embedding,
            "seen": picture.seen(),
            "kept": kept_path(self._day, name) if keep else None,
        }

    def _about(self, wanted: WantedFile, url: str, position: int) -> Row:
        return {
            "publication": wanted.publication,
            "position": position,
            "source": wanted.source,
            "name": wanted.name,
            "url": url,
            "weights": self._asked.weights,
            "bundled": self._asked.bundled,
        }

    async def _write_part(self) -> None:
        async with self._writing:
            publications, images = self._publications, self._images
            self._publications, self._images = [], []
            if publications:
                await asyncio.to_thread(self._files.add_part, publications, images)

    def _add(self, counts: Counts) -> None:
        self._counts += counts
        self._tell(self._counts)


def choose(results: Results, options: Options) -> tuple[list[Record], Counter[str]]:
    """The decisions that the options select, and the number of others by the reason why they are left out."""
    chosen: list[Record] = []
    left_out: Counter[str] = Counter()
    for record in results.records:
        reason = options.selection.left_out(record)
        if reason is not None:
            left_out[reason] += 1
        elif options.max_records is not None and len(chosen) >= options.max_records:
            left_out["after the most records"] += 1
        else:
            chosen.append(record)
    return chosen, left_out


def summary(whole: Tables, results: Results, *, over: bool) -> dict[str, Any]:
    """The part of a manifest about the tables: `complete` and the `reasons` if not, `counts`, `problems`, `errors`."""
    publications, images = whole
    outcomes = Counter(images["outcome"].to_pylist())
    pictures = sum(outcomes[name] for name in tables.CLASSIFIED)
    reasons = [] if over else [NOT_OVER]
    if not results.complete:
        reasons.append(f"the search told {results.stated} records and gave {len(results.records)}")
    if outcomes[tables.UNREACHABLE]:
        reasons.append(f"{outcomes[tables.UNREACHABLE]} files could not be fetched")
    names = ("publication", "name", "url", "page", "outcome", "error")
    errors = [row for row in images.select(names).to_pylist() if row["error"] and row["outcome"] != "small"]
    return {
        "complete": not reasons,
        "reasons": reasons,
        "counts": {
            "found": len(results.records),
            "stated": results.stated,
            "records": publications.num_rows,
            "images": pictures,
            **dict(sorted(outcomes.items())),
        },
        "problems": list(results.problems)[:MOST_ERRORS],
        "errors": errors[:MOST_ERRORS],
    }


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a nested exception group."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
