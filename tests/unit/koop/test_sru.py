"""Searching: pages, counts, refusals, and answers that contradict themselves."""

from collections.abc import Callable

import httpx
import pytest

from jobs.koop.errors import FetchFailed, QueryRefused
from jobs.koop.fetching.web import Answer, Limits, Retry, Unusable, Web
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.sru import Sru, read_page
from tests.unit.koop.recorded import answer_xml, record_xml, recorded, refusal_xml, web

CQL = 'dt.available=="2023-10-27"'


def sru(koop: Web, page_size: int = 500) -> Sru:
    return Sru(koop, Endpoints().sru, page_size)


def paged(total: int, stated: int | None = None) -> Callable[[httpx.Request], httpx.Response]:
    """A service with `total` records that pages as KOOP does."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        start, most = int(asked["startRecord"]), int(asked["maximumRecords"])
        numbers = range(start, min(start + most, total + 1))
        following = start + most if start + most <= total and most else None
        records = [record_xml(f"gmb-2023-{number}") for number in numbers]
        return httpx.Response(200, text=answer_xml(records, total if stated is None else stated, following))

    return answer


def in_turn(*pages: str) -> Callable[[httpx.Request], httpx.Response]:
    left = list(pages)
    return lambda request: httpx.Response(200, text=left.pop(0))


def page(name: str) -> bytes:
    return recorded(f"plooi/{name}.xml")


def test_a_recorded_page_is_read() -> None:
    read = read_page(Answer("", "application/xml", page("sru")))
    assert len(read.records) == 10
    assert (read.stated, read.precision, read.next_position, read.problems) == (76, "estimate", 11, ())


def test_a_recorded_last_page_has_no_next_one() -> None:
    read = read_page(Answer("", "application/xml", page("sru_record_kst")))
    assert [found.identifier for found in read.records] == ["kst-35842-4"]
    assert (read.stated, read.next_position) == (1, None)


def test_records_of_another_search_service_are_reported() -> None:
    """The recorded answer of the other search service: the same envelope in the default namespace."""
    read = read_page(Answer("", "application/xml", page("zoekservice_oo_sru")))
    assert (read.records, read.stated) == ((), 1)
    assert "without an identifier" in read.problems[0]


async def test_the_request_is_in_koops_form() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.copy_with(query=None) == "https://repository.overheid.nl/sru"
        assert dict(request.url.params) == {
            "operation": "searchRetrieve",
            "version": "2.0",
            "query": CQL,
            "startRecord": "1",
            "maximumRecords": "500",
        }
        assert request.headers["Accept"] == "application/xml"
        return httpx.Response(200, content=page("sru_record_kst"))

    async with web(answer) as koop:
        assert (await sru(koop).find(CQL)).complete


@pytest.mark.parametrize("total", [0, 1, 10, 11, 25])
async def test_every_page_is_read(total: int) -> None:
    async with web(paged(total)) as koop:
        found = await sru(koop, page_size=10).find(CQL)
    assert [record.identifier for record in found.records] == [f"gmb-2023-{n}" for n in range(1, total + 1)]
    assert (found.stated, found.complete) == (total, True)


async def test_a_refusal_with_status_200_is_an_error_with_its_words() -> None:
    async with web(in_turn(refusal_xml(16, "Unsupported index: dt.beschikbaar"))) as koop:
        with pytest.raises(QueryRefused, match=r"Unsupported index: dt\.beschikbaar.*diagnostic/1/16") as refused:
            await sru(koop).find(CQL)
    assert refused.value.codes == ("info:srw/diagnostic/1/16",)


async def test_a_passing_refusal_is_tried_again() -> None:
    retries: list[Retry] = []
    answers = in_turn(refusal_xml(2, "System temporarily unavailable"), answer_xml([], 0))
    async with web(answers, retries=retries) as koop:
        assert (await sru(koop).find(CQL)).complete
    assert "temporarily" in retries[0].reason


async def test_a_bare_list_of_diagnostics_is_a_refusal() -> None:
    bare = "<diagnostics><diagnostic><uri>info:srw/diagnostic/1/10</uri><details>Query syntax</details></diagnostic></diagnostics>"
    async with web(in_turn(bare)) as koop:
        with pytest.raises(QueryRefused, match="Query syntax"):
            await sru(koop).find(CQL)


@pytest.mark.parametrize("body", ["<a/>", answer_xml([], 0).replace("numberOfRecords", "numberOfHits")])
async def test_an_answer_without_a_number_is_never_zero(body: str) -> None:
    with pytest.raises(Unusable, match="without a number of records"):
        read_page(Answer("", "application/xml", body.encode()))
    async with web(in_turn(body, body), limits=Limits(tries=2)) as koop:
        with pytest.raises(FetchFailed):
            await sru(koop).find(CQL)


@pytest.mark.parametrize("following", [1, 0])
async def test_a_next_position_that_does_not_advance_ends(following: int) -> None:
    stuck = answer_xml([record_xml()], 2, following)
    async with web(in_turn(stuck, stuck)) as koop:
        found = await sru(koop).find(CQL)
    assert (len(found.records), found.stated, found.complete) == (1, 2, False)


async def test_a_position_past_the_end_ends() -> None:
    past = refusal_xml(61, "First record position out of range")
    async with web(in_turn(answer_xml([record_xml()], 1, 2), past)) as koop:
        found = await sru(koop).find(CQL)
    assert (len(found.records), found.complete) == (1, True)
    async with web(in_turn(past)) as koop:
        with pytest.raises(QueryRefused):
            await sru(koop).find(CQL)


async def test_a_mismatch_is_retried_and_resolved() -> None:
    one, two = record_xml("gmb-2023-1"), record_xml("gmb-2023-2")
    async with web(in_turn(answer_xml([one, one], 2), answer_xml([one, two], 2))) as koop:
        found = await sru(koop).find(CQL)
    assert [record.identifier for record in found.records] == ["gmb-2023-1", "gmb-2023-2"]
    assert found.complete


async def test_a_lasting_mismatch_is_reported_and_keeps_the_records_of_both_tries() -> None:
    one, two = record_xml("gmb-2023-1"), record_xml("gmb-2023-2")
    async with web(in_turn(answer_xml([one], 3), answer_xml([two], 3))) as koop:
        found = await sru(koop).find(CQL)
    assert [record.identifier for record in found.records] == ["gmb-2023-1", "gmb-2023-2"]
    assert (found.stated, found.precision, found.complete) == (3, "estimate", False)


async def test_the_newest_version_of_a_publication_is_kept() -> None:
    def version(day: int, title: str) -> str:
        return record_xml("gmb-2023-1", title, kern=f"<t:modified>2023-10-{day}</t:modified>")

    pages = answer_xml([version(27, "old"), version(29, "newest")], 2, 3), answer_xml([version(28, "newer")], 2)
    async with web(in_turn(*pages, *pages)) as koop:
        found = await sru(koop, page_size=2).find(CQL)
    assert [record.title for record in found.records] == ["newest"]
    assert not found.complete


async def test_a_record_that_cannot_be_read_loses_no_other() -> None:
    broken = answer_xml([record_xml("", "Zonder nummer"), record_xml("gmb-2023-2")], 2)
    async with web(in_turn(broken, broken)) as koop:
        found = await sru(koop).find(CQL)
    assert [record.identifier for record in found.records] == ["gmb-2023-2"]
    assert "Zonder nummer" in found.problems[0]
    assert not found.complete


@pytest.mark.parametrize("page_size", [0, 1_001])
async def test_page_sizes_that_koop_does_not_give_are_refused(page_size: int) -> None:
    async with web(paged(0)) as koop:
        with pytest.raises(ValueError, match="1 to 1000"):
            sru(koop, page_size)
