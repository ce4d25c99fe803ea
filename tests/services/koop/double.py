"""Shared by the tests of KOOP's double and of the client: the double's days, a query, and readers of answers."""

from datetime import date
from itertools import combinations
from xml.etree import ElementTree

import httpx

from testbed.doubles.koop.wording import OLDER_TYPE, TYPE
from testbed.paths import shared

DAYS = {
    date(2023, 3, 1): 0,
    date(2023, 3, 2): 1,
    date(2023, 3, 3): 95,
    date(2023, 3, 4): 900,
    date(2023, 3, 5): 901,
    date(2023, 3, 6): 2500,
    date(2021, 3, 5): 40,
}
BUSY, USUAL = date(2023, 3, 6), date(2023, 3, 3)
FIXTURES = "koop/fixtures"
SRU = "{http://docs.oasis-open.org/ns/search-ws/sruResponse}"
DIAG = "{http://docs.oasis-open.org/ns/search-ws/diagnostic}"
IDENTIFIER = "{http://purl.org/dc/terms/}identifier"


def parsed(data: bytes) -> ElementTree.Element:
    """The root of a document, parsed independently of the client."""
    return ElementTree.fromstring(data)  # noqa: S314 (the test made it, or it is a recorded file)


def day_query(day: date) -> str:
    """The site's own query for a day, with both names of the type."""
    return (
        f'(c.product-area=="officielepublicaties") and (dt.available=="{day}") AND '
        f'(dt.type=="{TYPE}" or dt.type=="{OLDER_TYPE}")'
    )


def searched(koop: httpx.Client, query: str, **parameters: object) -> ElementTree.Element:
    """The answer to a query."""
    asked = {"operation": "searchRetrieve", "version": "2.0", "query": query, **parameters}
    response = koop.get("/sru", params={name: str(value) for name, value in asked.items()})
    assert response.status_code == 200
    return parsed(response.content)


def identifiers(answer: ElementTree.Element) -> list[str | None]:
    """The identifiers of an answer's records, in their order."""
    return [element.text for element in answer.iter(IDENTIFIER)]


def paths(element: ElementTree.Element, above: str = "") -> set[str]:
    """Every element and attribute below, by its path from the top and with its namespace."""
    path = f"{above}/{element.tag}"
    found = {path} | {f"{path}@{name}" for name in element.attrib}
    return found.union(*(paths(child, path) for child in element))


def before(element: ElementTree.Element) -> set[tuple[str, str, str]]:
    """Parent, one and another, where one comes before the other somewhere below."""
    pairs = ((parent.tag, one.tag, two.tag) for parent in element.iter() for one, two in combinations(parent, 2))
    return {(parent, one, two) for parent, one, two in pairs if one != two}


def read(name: str) -> ElementTree.Element:
    """A recorded answer of KOOP."""
    return parsed(shared(f"{FIXTURES}/{name}").read_bytes())


def bare(element: ElementTree.Element) -> ElementTree.Element:
    """The element without its namespaces, to compare with a recording that has lost them."""
    for inner in element.iter():
        inner.tag = inner.tag.rpartition("}")[2]
    return element
