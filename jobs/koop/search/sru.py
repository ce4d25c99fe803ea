"""Searches KOOP's repository over SRU 2.0 (OASIS searchRetrieve), page by page."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from jobs.koop.errors import InvalidXml, QueryRefused
from jobs.koop.fetching.web import Answer, Unusable, Web, read_xml
from jobs.koop.search.records import Record, read_record
from jobs.koop.search.xml import Element, descendants, local_name, namespace, text

SRU = "http://docs.oasis-open.org/ns/search-ws/sruResponse"
MOST_PER_PAGE = 1000

# Diagnostics that may pass: general system error, system temporarily unavailable.
PASSING = ("/1/1", "/1/2")
OUT_OF_RANGE = "/1/61"  # the first requested record is after the last one


@dataclass(frozen=True)
class Page:
    """One page of results: its records, the stated number of all records, and the position of the next page, if any."""

    records: tuple[Record, ...]
    problems: tuple[str, ...]
    stated: int
    precision: str
    next_position: int | None


@dataclass(frozen=True)
class Results:
    """The results of a query: each publication once, in its newest version.

    Args:
        records: the records, in the order of the answers.
        stated: the number of records according to the service.
        precision: the precision of that number: `exact`, `estimate`…, empty if it is not given.
        problems: descriptions of records that could not be read.
    """

    records: tuple[Record, ...]
    stated: int
    precision: str
    problems: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether as many records were read as the service stated."""
        return len(self.records) >= self.stated and not self.problems


class Sru:
    """The search service."""

    def __init__(self, web: Web, endpoint: str, page_size: int = 500) -> None:
        """`page_size`: records per request, 1–1,000. A day has about a hundred, so one request is usually enough."""
        if not 1 <= page_size <= MOST_PER_PAGE:
            raise ValueError(f"a page has 1 to {MOST_PER_PAGE} records, not {page_size}")
        self._web, self._endpoint, self._page_size = web, endpoint, page_size

    async def find(self, cql: str) -> Results:
        """Find all records. If their number is not the stated one, the query is repeated and both results are merged.

        Raises:
            FetchFailed: the service did not answer.
            QueryRefused: the service refuses the query.
        """
        found = await self._gather(cql)
        if len(found.records) == found.stated and not found.problems:
            return found
        again = await self._gather(cql)
        return Results(_newest((*found.records, *again.records)), again.stated, again.precision, again.problems)

    async def _gather(self, cql: str) -> Results:
        pages = [page async for page in self._pages(cql)]
        records = _newest(record for page in pages for record in page.records)
        problems = tuple(problem for page in pages for problem in page.problems)
        return Results(records, pages[-1].stated, pages[-1].precision, problems)

    async def _pages(self, cql: str) -> AsyncIterator[Page]:
        """Yield all pages, until a page has no next position or one that is not after its own."""
        start: int | None = 1
        while start is not None:
            try:
                page = await self._page(cql, start)
            except QueryRefused as error:
                if start > 1 and all(code.endswith(OUT_OF_RANGE) for code in error.codes):
                    return
                raise
            yield page
            further = page.next_position is not None and page.next_position > start
            start = page.next_position if further else None

    async def _page(self, cql: str, start: int) -> Page:
        params = {
            "operation": "searchRetrieve",
            "version": "2.0",
            "query": cql,
            "startRecord": start,
            "maximumRecords": self._page_size,
        }
        return await self._web.read(self._endpoint, read_page, params=params, accept="application/xml")


def read_page(answer: Answer) -> Page:
    """Read a page of results from an answer.

    Raises:
        QueryRefused: the answer has diagnostics that are final.
        Unusable: it has diagnostics that may pass, or is not an answer to a search.
    """
    root = read_xml(answer)
    _check_diagnostics(root)
    stated = text(_child(root, "numberOfRecords"))
    if local_name(root) != "searchRetrieveResponse" or not stated.isdigit():
        raise Unusable(f"no answer to a search: <{local_name(root)}> without a number of records")
    records, problems = _records(root)
    following = text(_child(root, "nextRecordPosition"))
    precision = text(_child(root, "resultCountPrecision")).rpartition("/")[2]
    return Page(records, problems, int(stated), precision, int(following) if following.isdigit() else None)


def _check_diagnostics(root: Element) -> None:
    """Check the diagnostics of the whole answer. A diagnostic in place of a single record is read with the records.

    Raises:
        QueryRefused: they are final.
        Unusable: they may pass.
    """
    whole = root if local_name(root) == "diagnostics" else _child(root, "diagnostics")
    if whole is None:
        return
    found = [{local_name(part): text(part) for part in one} for one in descendants(whole, "diagnostic")]
    message = "; ".join(f"{one.get('message') or one.get('details', '')} ({one.get('uri', '')})" for one in found)
    codes = tuple(one.get("uri", "") for one in found)
    if codes and all(code.endswith(PASSING) for code in codes):
        raise Unusable(message)
    raise QueryRefused(message or "diagnostics without a message", codes)


def _records(root: Element) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    records, problems = [], []
    for element in (record for child in root if local_name(child) == "records" for record in child):
        try:
            records.append(read_record(element))
        except InvalidXml as error:
            problems.append(f"{error}: {text(element)[:200]!r}")
    return tuple(records), tuple(problems)


def _child(root: Element, name: str) -> Element | None:
    return next((child for child in root if local_name(child) == name and namespace(child) == SRU), None)


def _newest(records: Iterable[Record]) -> tuple[Record, ...]:
    """Each publication once, in its newest version, at the place where it first occurred."""
    newest: dict[str, Record] = {}
    for record in records:
        known = newest.get(record.identifier)
        if known is None or record.newness > known.newness:
            newest[record.identifier] = record
    return tuple(newest.values())
