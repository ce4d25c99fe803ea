"""The search: turns a request's parameters into a page of records or a diagnostic, as XML or as JSON."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from testbed.doubles.koop.cql import QueryError, parse
from testbed.doubles.koop.faults import Fault
from testbed.doubles.koop.publications import INDEXES, Collection, Publication
from testbed.doubles.koop.records import SCHEMA, SRU, record
from testbed.doubles.koop.xml import Element, Maker, local_name

MOST_RECORDS = 1000
PRECISION = "info:srw/vocabulary/resultCountPrecision/1/estimate"
DIAG = Maker("diag")


class Search:
    """Answers `operation=searchRetrieve` over a collection; `repository` is the scheme and host of the documents."""

    def __init__(self, collection: Collection, repository: str) -> None:
        self._collection, self._repository = collection, repository
        self._found = lru_cache(maxsize=256)(self._find)

    def answer(self, parameters: Mapping[str, str], fault: Fault | None = None) -> Element:
        """The answer to a request; a diagnostic where it is refused."""
        try:
            if fault is Fault.REFUSED:
                raise QueryError(2, "System temporarily unavailable")
            query, start, most = _asked(parameters)
            found = self._found(query)
            if start > max(1, len(found)):
                raise QueryError(61, f"First record position out of range: {start}")
        except QueryError as error:
            return _refusal(error)
        page = found[start - 1 : start - 1 + most]
        following = start if fault is Fault.STUCK else start + len(page)
        page = _spoilt(page, fault)
        response = SRU(
            "searchRetrieveResponse",
            SRU("version", "2.0"),
            SRU("numberOfRecords", str(len(found) + (fault is Fault.MISCOUNTED))),
        )
        if page:
            response.append(
                SRU("records", *(record(one, start + place, self._repository) for place, one in enumerate(page)))
            )
        if page and following <= len(found):
            response.append(SRU("nextRecordPosition", str(following)))
        response.append(_echo(query, start, most))
        response.append(SRU("resultCountPrecision", PRECISION))
        return response

    def _find(self, query: str) -> Sequence[Publication]:
        return parse(query, INDEXES).select(self._collection.all)


def _spoilt(page: Sequence[Publication], fault: Fault | None) -> Sequence[Publication]:
    if fault is Fault.MISSING:
        return page[:-1]
    return [*page[:1], *page[:-1]] if fault is Fault.REPEATED else page


def _asked(parameters: Mapping[str, str]) -> tuple[str, int, int]:
    """The query, the number of the first record, and how many records to return: at most MOST_RECORDS."""
    if (operation := parameters.get("operation", "searchRetrieve")) != "searchRetrieve":
        raise QueryError(4, f"Unsupported operation: {operation}")
    if (version := parameters.get("version", "2.0")) != "2.0":
        raise QueryError(5, f"Unsupported version: {version}")
    if "sortKeys" in parameters:
        raise QueryError(8, "Unsupported parameter: sortKeys")
    if not parameters.get("query", "").strip():
        raise QueryError(7, "Mandatory parameter not supplied: query")
    return (
        parameters["query"],
        _number(parameters, "startRecord", 1, 1),
        min(_number(parameters, "maximumRecords", 10, 0), MOST_RECORDS),
    )


def _number(parameters: Mapping[str, str], name: str, default: int, least: int) -> int:
    value = parameters.get(name, str(default))
    if not value.isdecimal() or int(value) < least:
        raise QueryError(6, f"Unsupported parameter value: {name} {value}")
    return int(value)


def _refusal(error: QueryError) -> Element:
    said = DIAG("diagnostic", DIAG("uri", f"info:srw/diagnostic/1/{error.number}"), DIAG("message", error.message))
    return SRU("searchRetrieveResponse", SRU("version", "2.0"), SRU("diagnostics", said))


def _echo(query: str, start: int, most: int) -> Element:
    return SRU(
        "echoedSearchRetrieveRequest",
        SRU("query", query),
        SRU("startRecord", str(start)),
        SRU("maximumRecords", str(most)),
        SRU("recordXMLEscaping", "xml"),
        SRU("recordSchema", SCHEMA),
    )


def as_json(answer: Element) -> bytes:
    """The answer as JSON: names without namespaces, and a list where a name occurs more than once."""
    return json.dumps({local_name(answer): _plain(answer)}).encode()


def _plain(element: Element) -> object:
    if not len(element) and not element.attrib:
        return element.text or ""
    plain: dict[str, object] = {f"@{name}": value for name, value in element.attrib.items()}
    if not len(element):
        return plain | {"$": element.text or ""}
    values: dict[str, list[object]] = {}
    for child in element:
        values.setdefault(local_name(child), []).append(_plain(child))
    return plain | {name: several if len(several) > 1 else several[0] for name, several in values.items()}
