"""Records in the form of KOOP's search service: recorded ones, and others made for a test."""

from collections.abc import Callable
from html import escape

import httpx

from jobs.koop.fetching.pace import LocalPace, TokenBucket
from jobs.koop.fetching.web import Answer, Limits, Retry, Web
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.records import Record, read_record
from jobs.koop.search.xml import Element, local_name, parse
from testbed.paths import shared

# The prefixes differ from KOOP's: they must not matter.
RECORD = """<r:record xmlns:r="http://docs.oasis-open.org/ns/search-ws/sruResponse" xmlns:g="http://standaarden.overheid.nl/sru"
    xmlns:w="http://standaarden.overheid.nl/wetgeving/" xmlns:t="http://purl.org/dc/terms/">
  <r:recordData><g:gzd><g:originalData><w:meta>
    <w:owmskern><t:identifier>{identifier}</t:identifier><t:title>{title}</t:title>{kern}</w:owmskern>
    <w:owmsmantel><t:available>2023-10-27</t:available>{mantel}</w:owmsmantel>
    <w:tpmeta>{tpmeta}</w:tpmeta>
  </w:meta></g:originalData><g:enrichedData>{enriched}</g:enrichedData></g:gzd></r:recordData>
</r:record>"""

ANSWER = """<?xml version="1.0" encoding="UTF-8"?>
<s:searchRetrieveResponse xmlns:s="http://docs.oasis-open.org/ns/search-ws/sruResponse"><s:version>2.0</s:version>
{number}{records}{following}<s:resultCountPrecision>info:srw/vocabulary/resultCountPrecision/1/estimate</s:resultCountPrecision>
</s:searchRetrieveResponse>"""

REFUSAL = """<s:searchRetrieveResponse xmlns:s="http://docs.oasis-open.org/ns/search-ws/sruResponse"
  xmlns:d="http://docs.oasis-open.org/ns/search-ws/diagnostic"><s:diagnostics><d:diagnostic>
  <d:uri>info:srw/diagnostic/1/{code}</d:uri><d:message>{message}</d:message>
</d:diagnostic></s:diagnostics></s:searchRetrieveResponse>"""


def recorded(name: str) -> bytes:
    """A recorded answer or document; skips the test when it is absent."""
    return shared(f"koop/fixtures/{name}").read_bytes()


def record_xml(identifier: str = "gmb-2023-1", title: str = "Verkeersbesluit", **parts: str) -> str:
    """A record; `parts` are XML for `kern`, `mantel`, `tpmeta` and `enriched`."""
    inner = {"kern": "", "mantel": "", "tpmeta": "", "enriched": ""} | parts
    return RECORD.format(identifier=identifier, title=escape(title), **inner)


def record(identifier: str = "gmb-2023-1", title: str = "Verkeersbesluit", **parts: str) -> Record:
    """The parsed record of the same arguments."""
    return read_record(parse(record_xml(identifier, title, **parts).encode()))


def answer_xml(records: list[str], stated: int, following: int | None = None) -> str:
    """An answer of the search service with these records."""
    return ANSWER.format(
        number=f"<s:numberOfRecords>{stated}</s:numberOfRecords>",
        records=f"<s:records>{''.join(records)}</s:records>" if records else "",
        following="" if following is None else f"<s:nextRecordPosition>{following}</s:nextRecordPosition>",
    )


def refusal_xml(code: int, message: str) -> str:
    """A refusal, which KOOP sends with status 200."""
    return REFUSAL.format(code=code, message=message)


def with_namespaces(stripped: bytes) -> Element:
    """A recorded record that had lost its namespaces, with them restored."""
    root = parse(stripped)
    spaces = {"owmskern": "http://purl.org/dc/terms/", "owmsmantel": "http://purl.org/dc/terms/"}
    gzd = "http://standaarden.overheid.nl/sru"
    for element in list(root.iter()):
        parent = local_name(element.getparent()) if element.getparent() is not None else ""
        element.tag = f"{{{spaces.get(parent, gzd)}}}{local_name(element)}"
    return root


def whole(answer: Answer) -> Answer:
    """Returns the body of an answer unchanged."""
    return answer


def web(
    answer: Callable[[httpx.Request], httpx.Response],
    *,
    limits: Limits | None = None,
    retries: list[Retry] | None = None,
    slept: list[float] | None = None,
    bucket: TokenBucket | None = None,
) -> Web:
    """A Web that calls `answer` instead of the network and never waits; `slept` collects the waits, in seconds."""

    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    return Web(
        Endpoints(),
        LocalPace(bucket or TokenBucket(1.0, 1_000, clock=lambda: 0.0)),
        limits,
        on_retry=None if retries is None else retries.append,
        transport=httpx.MockTransport(answer),
        sleep=sleep,
    )
