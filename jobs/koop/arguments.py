"""The command line of the ingestion: `python -m jobs.koop.ingest --help`."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn, get_args

from jobs.koop.driver import days_between
from jobs.koop.fetching.pace import BURST, REQUESTS_PER_S
from jobs.koop.options import Keep, Options
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.query import Selection
from jobs.runtime.arguments import whole
from jobs.runtime.errors import JobRefused
from jobs.runtime.running import APPLICATION

EXAMPLE = """
example:
  ray job submit -- python -m jobs.koop.ingest --start 2023-01-01 --end 2023-12-31 --output data/koop

The same command continues where it was interrupted, and skips complete days.
"""

_count, _positive = whole(0), whole(1)


@dataclass(frozen=True)
class Arguments:
    """The command line, parsed and checked. `rate` is in requests/s for the whole cluster."""

    days: tuple[date, ...]
    output: str
    options: Options
    endpoints: Endpoints
    rate: float
    burst: int
    days_in_flight: int
    force: bool
    dry_run: bool
    application: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise JobRefused(f"{message[:1].upper()}{message[1:]} (see --help).")


def read(command_line: Sequence[str], max_pixels: int) -> Arguments:
    """Parse a command line.

    Raises:
        JobRefused: an option is invalid; the message is one line.
    """
    given = _parser().parse_args(command_line)
    if given.end < given.start:
        raise JobRefused(f"--end {given.end} lies before --start {given.start}: swap them.")
    if not given.dry_run and not given.output:
        raise JobRefused("--output is missing: name a folder or URL such as data/koop (a --dry-run needs none).")
    try:
        selection = Selection(
            by=given.by,
            filter=given.cql,
            signs=tuple(given.signs),
            provinces=tuple(given.provinces),
            municipalities=tuple(given.municipalities),
            without_words=tuple(given.exclude_words),
        )
        endpoints = Endpoints(given.sru_url, given.site_url, given.attachments_url)
    except ValueError as error:
        raise JobRefused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    options = Options(
        selection=selection,
        keep=given.filter,
        min_bytes=given.min_bytes,
        max_records=given.max_records,
        max_pages=given.max_pages,
        page_side=given.page_side,
        max_pixels=max_pixels,
    )
    return Arguments(
        days=tuple(days_between(given.start, given.end)),
        output=given.output,
        options=options,
        endpoints=endpoints,
        rate=given.rate,
        burst=given.burst,
        days_in_flight=given.days_in_flight,
        force=given.force,
        dry_run=given.dry_run,
        application=given.application,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m jobs.koop.ingest",
        description="Fetch the Dutch traffic decisions of each day, and keep the pictures of maps and aerial views.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--start", type=_day, required=True, metavar="DATE", help="first day, such as 2023-01-01")
    parser.add_argument("--end", type=_day, required=True, metavar="DATE", help="last day; today is never complete")
    parser.add_argument("--output", default="", metavar="URL", help="folder, or any URL of fsspec")
    _add_selection(parser.add_argument_group("which decisions"))
    _add_work(parser.add_argument_group("what to do with them"))
    _add_services(parser.add_argument_group("services to ask"))
    return parser


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--by", choices=("available", "modified"), default="available", help="day of publication or of last correction"
    )
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
    group.add_argument("--signs", metavar="CODE", help="with one of these: C1 E6, or G for all of a series", **several)
    group.add_argument("--provinces", metavar="NAME", help="decided by one of these provinces", **several)
    group.add_argument("--municipalities", metavar="NAME", help="decided by one of these municipalities", **several)
    group.add_argument("--exclude-words", metavar="WORD", help="with none of these words in the title", **several)
    group.add_argument("--cql", default="", metavar="CQL", help="a further clause for the search service")
    group.add_argument("--max-records", type=_positive, metavar="N", help="only the first N decisions of each day")


def _add_work(group: argparse._ArgumentGroup) -> None:
    usual = Options()
    group.add_argument(
        "--filter",
        choices=get_args(Keep),
        default=usual.keep,
        help="what to keep of the pictures classified as a map or an aerial view: maps only, or both (default: both)",
    )
    group.add_argument("--min-bytes", type=_count, default=usual.min_bytes, metavar="N", help="ignore smaller files")
    group.add_argument(
        "--max-pages",
        type=_positive,
        default=usual.max_pages,
        metavar="N",
        help="pages to classify per PDF (default: %(default)s)",
    )
    group.add_argument(
        "--page-side",
        type=_positive,
        default=usual.page_side,
        metavar="PIXELS",
        help="shorter side of a rendered page (default: %(default)s)",
    )
    group.add_argument("--force", action="store_true", help="do complete days again")
    group.add_argument("--dry-run", action="store_true", help="only count decisions; needs no running application")
    group.add_argument(
        "--days-in-flight", type=_positive, default=4, metavar="N", help="days in parallel (default: %(default)s)"
    )


def _add_services(group: argparse._ArgumentGroup) -> None:
    usual = Endpoints()
    for name, url in (("sru", usual.sru), ("site", usual.site), ("attachments", usual.attachments)):
        variable = f"KOOP_{name.upper()}_URL"
        group.add_argument(
            f"--{name}-url", default=os.environ.get(variable) or url, metavar="URL", help=f"or {variable}"
        )
    group.add_argument(
        "--rate",
        type=_rate,
        default=REQUESTS_PER_S,
        metavar="N",
        help="requests/s of all workers together (default: %(default)s)",
    )
    group.add_argument(
        "--burst", type=_positive, default=BURST, metavar="N", help="requests at once (default: %(default)s)"
    )
    group.add_argument("--application", default=APPLICATION, metavar="NAME", help="application whose CLIP classifies")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date: write one such as 2023-01-31") from None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests per second above 0")
    return rate
