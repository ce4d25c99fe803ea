"""The client of KOOP against its double over real HTTP: complete days, every fault, hostile values, and the pace."""

from collections.abc import AsyncIterator
from datetime import date

import pytest

from jobs.koop.errors import (
    BodyTooLarge,
    FetchFailed,
    HostRefused,
    NotFound,
    QueryRefused,
    RedirectLoop,
)
from jobs.koop.fetching.pace import LocalPace, TokenBucket
from jobs.koop.fetching.web import Answer, Limits, Unusable, Web, read_xml
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.query import Selection, quoted
from jobs.koop.search.records import Record
from jobs.koop.search.sru import Sru
from jobs.koop.search.xml import descendants
from testbed.doubles.clock import Clock
from testbed.doubles.koop import Bucket, Drawings, Fault, KoopServer, Rule
from testbed.doubles.koop.faults import TRANSIENT
from testbed.doubles.koop.publications import Publication
from tests.services.koop.double import DAYS, USUAL
from tests.unit.koop.recorded import whole

SMALL, LARGE = date(2023, 3, 2), date(2023, 3, 5)


def endpoints(server: KoopServer) -> Endpoints:
    """All three services at the double."""
    return Endpoints(f"{server.address}/sru", server.address, f"{server.address}/externebijlagen")


def opened(server: KoopServer, time: Clock, limits: Limits | None = None, rate: float = 1e9) -> Web:
    """A client of the double that never really waits."""
    pace = LocalPace(TokenBucket(rate, 50, time))
    return Web(endpoints(server), pace, limits, sleep=time.sleep)


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
async def web(koop_server: KoopServer, time: Clock) -> AsyncIterator[Web]:
    async with opened(koop_server, time) as web:
        yield web


@pytest.fixture
def sru(koop_server: KoopServer, web: Web) -> Sru:
    return Sru(web, f"{koop_server.address}/sru")


def names(records: tuple[Record, ...]) -> list[str]:
    """The identifiers of these records, sorted."""
    return sorted(record.identifier for record in records)


def published(server: KoopServer, day: date) -> list[str]:
    """The identifiers of a day's decisions, sorted."""
    return sorted(one.identifier for one in server.collection.decisions(day))


@pytest.mark.parametrize("page_size", [400, 1000])
@pytest.mark.parametrize("day", DAYS)
async def test_a_day_is_complete(koop_server: KoopServer, web: Web, day: date, page_size: int) -> None:
    found = await Sru(web, f"{koop_server.address}/sru", page_size).find(Selection().cql(day))
    assert names(found.records) == published(koop_server, day)
    assert (found.stated, found.complete, found.precision) == (DAYS[day], True, "estimate")
    assert len(koop_server.requests) == max(1, -(-DAYS[day] // page_size))


async def test_days_by_correction_miss_none_that_was_corrected(koop_server: KoopServer, sru: Sru) -> None:
    decisions = [one for day in DAYS for one in koop_server.collection.decisions(day)]
    for day in sorted({one.modified for one in decisions if one.modified > one.available})[:5]:
        found = await sru.find(Selection(by="modified").cql(day))
        assert names(found.records) == sorted(one.identifier for one in decisions if one.modified == day)


async def test_a_record_says_what_was_published(koop_server: KoopServer, sru: Sru) -> None:
    found = await sru.find(Selection().cql(USUAL))
    truth = koop_server.collection.by_identifier
    for record in found.records:
        one = truth[record.identifier]
        assert (record.title, record.types, record.sign_codes) == (
            " ".join(one.title.split()),
            one.types,
            one.sign_codes,
        )
        assert [(value.text, value.scheme) for value in record.creators] == [(c.name, c.scheme) for c in one.creators]
        assert [(a.filename, a.number) for a in record.attachments] == [(a.filename, a.exb) for a in one.attachments]
        assert [(area.wkt, area.kind, area.municipality) for area in record.areas] == [
            (area.wkt, area.kind, area.municipality) for area in one.areas
        ]
        assert all(area.geometry is not None for area in record.areas)
        assert (record.available, record.modified, record.problems) == (one.available, one.modified, ())


@pytest.mark.parametrize("place", ["Utrecht", "Groningen"])
async def test_a_province_is_not_its_city(koop_server: KoopServer, sru: Sru, place: str) -> None:
    found = (await sru.find(Selection().cql(LARGE))).records
    for kind, selection in (
        ("Provincie", Selection(provinces=(place,))),
        ("Gemeente", Selection(municipalities=(place,))),
    ):
        expected = [
            one.identifier for one in koop_server.collection.decisions(LARGE)
            if any((creator.kind, creator.name) == (kind, place) for creator in one.creators)
        ]  # fmt: skip
        assert len(expected) > 20
        assert names(tuple(one for one in found if selection.left_out(one) is None)) == sorted(expected)


def file_bytes(answer: Answer) -> bytes:
    """The body if it is an image or a PDF; KOOP also sends HTML pages with status 200."""
    if not answer.body.startswith((b"\x89PNG", b"\xff\xd8", b"%PDF")):
        raise Unusable(f"no image or PDF, but {answer.media_type}")
    return answer.body


async def take(web: Web, server: KoopServer, one: Publication, record: Record) -> tuple[int, int]:
    """Fetch and check all files of a publication; return the numbers of images and attachments."""
    body = await web.read(record.item_url("xml") or "", read_xml)
    named = [found.get("naam") for tag in ("illustratie", "Illustratie") for found in descendants(body, tag)]
    assert named == [picture.name for picture in one.pictures]
    for picture in one.pictures:
        image = await web.read(endpoints(server).image_url(picture.name), file_bytes)
        assert image == server.drawings.image(picture.number, picture.format, picture.name)
    for attachment in record.attachments:
        assert await first_variant(web, server, attachment.number) == attached(server, attachment.number)
    return len(one.pictures), len(record.attachments)


async def first_variant(web: Web, server: KoopServer, number: str) -> bytes:
    """The attachment under the first of its addresses that is not a loop."""
    for url in endpoints(server).attachment_urls(number, "Kaart.pdf"):
        try:
            return await web.read(url, file_bytes)
        except RedirectLoop:
            continue
    raise AssertionError(f"no variant of {number}")


def attached(server: KoopServer, number: str) -> bytes:
    """The attachment's bytes, unchanged."""
    return server.drawings.pdf(server.collection.attachments[number].pages, number)


async def test_every_file_of_a_day_arrives_though_a_quarter_of_the_requests_fail(
    koop_server: KoopServer, time: Clock
) -> None:
    koop_server.faults.fail_rate = 0.25
    async with opened(koop_server, time, Limits(tries=15)) as web:
        found = await Sru(web, f"{koop_server.address}/sru", page_size=20).find(Selection().cql(USUAL))
        assert names(found.records) == published(koop_server, USUAL)
        counts = [
            await take(web, koop_server, koop_server.collection.by_identifier[r.identifier], r) for r in found.records
        ]
    assert sum(images for images, _ in counts) > 90
    assert sum(attachments for _, attachments in counts) > 20
    assert len(time.waits) > 50


@pytest.mark.parametrize("fault", [*TRANSIENT, Fault.LIMITED_SECONDS, Fault.LIMITED_DATE, Fault.REFUSED, Fault.SLOW])
async def test_a_transient_fault_loses_nothing(koop_server: KoopServer, sru: Sru, time: Clock, fault: Fault) -> None:
    koop_server.faults.rules.append(Rule(fault, nth={1, 2}, seconds=0.01 if fault is Fault.SLOW else 40))
    found = await sru.find(Selection().cql(USUAL))
    assert names(found.records) == published(koop_server, USUAL)
    assert len(koop_server.requests) == (1 if fault is Fault.SLOW else 3)
    if fault in {Fault.LIMITED_SECONDS, Fault.LIMITED_DATE}:
        assert len([wait for wait in time.waits if wait > 38]) == 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.EMPTY, "empty"), (Fault.HTML, "HTML"), (Fault.LIMITED, "429"), (Fault.BROKEN, "500"),
     (Fault.UNAVAILABLE, "503"), (Fault.CLOSED, "disconnected"), (Fault.TRUNCATED, "without sending complete"),
     (Fault.REFUSED, "unavailable")],
)  # fmt: skip
async def test_a_lasting_fault_is_reported(koop_server: KoopServer, sru: Sru, fault: Fault, reason: str) -> None:
    koop_server.faults.rules.append(Rule(fault))
    with pytest.raises(FetchFailed) as failure:
        await sru.find(Selection().cql(USUAL))
    assert reason in failure.value.reason
    assert failure.value.tries == len(koop_server.requests) == 6


async def test_a_server_that_wants_a_day_of_quiet_is_not_waited_for(koop_server: KoopServer, sru: Sru) -> None:
    koop_server.faults.rules.append(Rule(Fault.LIMITED_SECONDS, seconds=86_400))
    with pytest.raises(FetchFailed, match="asks to wait 86400 s"):
        await sru.find(Selection().cql(USUAL))
    assert len(koop_server.requests) == 1


async def test_an_answer_that_does_not_come_is_asked_for_again(koop_server: KoopServer, time: Clock) -> None:
    picture = next(iter(koop_server.collection.pictures.values()))
    koop_server.faults.rules.append(Rule(Fault.SLOW, nth={1}, seconds=60))
    async with opened(koop_server, time, Limits(timeout_s=2)) as web:
        answer = await web.read(endpoints(koop_server).image_url(picture.name), whole)
    assert answer.body == koop_server.drawings.image(picture.number, picture.format, picture.name)


@pytest.mark.parametrize("fault", [Fault.MISCOUNTED, Fault.MISSING, Fault.REPEATED, Fault.STUCK])
async def test_a_page_that_was_wrong_once_is_made_good(koop_server: KoopServer, web: Web, fault: Fault) -> None:
    koop_server.faults.rules.append(Rule(fault, nth={1}))
    found = await Sru(web, f"{koop_server.address}/sru", page_size=50).find(Selection().cql(USUAL))
    assert (names(found.records), found.complete) == (published(koop_server, USUAL), True)


@pytest.mark.parametrize(
    ("fault", "stated", "records", "requests"),
    [(Fault.MISCOUNTED, 96, 95, 4), (Fault.MISSING, 95, 93, 4), (Fault.REPEATED, 95, 93, 4), (Fault.STUCK, 95, 50, 2)],
)
async def test_a_day_that_stays_incomplete_says_so(
    koop_server: KoopServer, web: Web, fault: Fault, stated: int, records: int, requests: int
) -> None:
    koop_server.faults.rules.append(Rule(fault))
    found = await Sru(web, f"{koop_server.address}/sru", page_size=50).find(Selection().cql(USUAL))
    assert (found.stated, len(found.records), found.complete) == (stated, records, False)
    assert len(koop_server.requests) == requests


HOSTILE = (
    '"', "\\", '\\"', 'a" OR cql.allRecords=1 OR dt.title=="', "a\\", ") OR (cql.allRecords=1", "a\nb", "AND", "100% & more", "sortBy",
)  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
async def test_a_hostile_value_cannot_change_the_query(sru: Sru, value: str) -> None:
    assert (await sru.find(Selection(filter=f"dt.title=={quoted(value)}").cql(USUAL))).stated == 0
    assert (await sru.find(Selection(filter=f"dt.title<>{quoted(value)}").cql(USUAL))).stated == 95


async def test_every_title_finds_its_own_record(koop_server: KoopServer, sru: Sru) -> None:
    decisions = koop_server.collection.decisions(USUAL)
    letters = set("".join(one.title for one in decisions))
    assert set("\"&\\()[]<>'%éÉâç/;") <= letters
    for title in {one.title for one in decisions if not one.title.isascii() or set(one.title) & set('"\\[(')}:
        found = await sru.find(Selection(filter=f"dt.title=={quoted(title)}").cql(USUAL))
        assert names(found.records) == sorted(one.identifier for one in decisions if one.title == title)


@pytest.mark.parametrize(
    ("cql", "code"),
    [("w.nothing==1", "/16"), ("dt.title within 1", "/19"), ("dt.title", "/10"), ("dt.date==soon", "/36")],
)
async def test_a_refused_query_is_an_error_and_is_asked_once(
    koop_server: KoopServer, sru: Sru, cql: str, code: str
) -> None:
    with pytest.raises(QueryRefused) as refusal:
        await sru.find(Selection(filter=cql).cql(USUAL))
    assert refusal.value.codes[0].endswith(code)
    assert len(koop_server.requests) == 1


@pytest.mark.parametrize("name", ["nothing.png", "../sru", "a b.png", "a?b#c.png", "%2e%2e"])
async def test_a_picture_that_is_not_there_is_not_found(koop_server: KoopServer, web: Web, name: str) -> None:
    with pytest.raises(NotFound):
        await web.read(endpoints(koop_server).image_url(name), whole)
    assert [request.path for request in koop_server.requests] == [f"/{name}"]


async def test_another_host_is_not_asked_even_where_a_record_or_a_redirect_leads_there(
    koop_server: KoopServer, web: Web, time: Clock
) -> None:
    day, few = {SMALL: 1}, Drawings(10, side=(64, 90))
    with (
        KoopServer({}, drawings=few) as other,
        KoopServer(day, drawings=few, documents_at=other.address) as pointing,
    ):
        async with opened(pointing, time) as its_web:
            found = await Sru(its_web, f"{pointing.address}/sru").find(Selection().cql(SMALL))
            with pytest.raises(HostRefused):
                await its_web.read(found.records[0].item_url("xml") or "", read_xml)
        koop_server.faults.rules.append(Rule(Fault.ELSEWHERE, location=f"{other.address}/picture.png"))
        with pytest.raises(HostRefused):
            await web.read(f"{koop_server.address}/picture.png", whole)
        assert other.requests == []


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "//127.0.0.1:1/x.png", "http://user:word@127.0.0.1/x", "http://[", ""]
)
async def test_a_bad_redirect_is_refused(koop_server: KoopServer, web: Web, location: str) -> None:
    koop_server.faults.rules.append(Rule(Fault.ELSEWHERE, location=location))
    with pytest.raises(FetchFailed):
        await web.read(f"{koop_server.address}/picture.png", whole)
    assert len(koop_server.requests) == 1


async def test_a_wrong_variant_of_an_attachment_is_a_loop_and_is_asked_once(koop_server: KoopServer, web: Web) -> None:
    attachment = next(a for a in koop_server.collection.attachments.values() if a.suffix == "PDF")
    wrong, right = endpoints(koop_server).attachment_urls(attachment.exb)[:2]
    with pytest.raises(RedirectLoop):
        await web.read(wrong, whole)
    assert len(koop_server.requests) == 1
    assert (await web.read(right, whole)).body == attached(koop_server, attachment.exb)


async def test_a_body_has_a_limit(koop_server: KoopServer, time: Clock) -> None:
    async with opened(koop_server, time, Limits(most_bytes=20_000)) as web:
        with pytest.raises(BodyTooLarge):
            await Sru(web, f"{koop_server.address}/sru").find(Selection().cql(USUAL))
    assert len(koop_server.requests) == 1


async def test_the_usual_pace_never_empties_the_bucket(koop_server: KoopServer, time: Clock) -> None:
    koop_server.faults.bucket = Bucket(clock=time)
    started = time.now
    async with Web(endpoints(koop_server), LocalPace(TokenBucket(clock=time)), sleep=time.sleep) as web:
        for _ in range(200):
            with pytest.raises(NotFound):
                await web.read(f"{koop_server.address}/nothing.png", whole)
    assert len(koop_server.requests) == 200  # no 429, so nothing was requested twice
    assert time.now - started == pytest.approx((200 - 50) / 0.85)


async def test_a_client_that_is_too_fast_is_slowed_down_and_loses_nothing(koop_server: KoopServer, time: Clock) -> None:
    koop_server.faults.bucket = Bucket(size=5, clock=time)
    async with opened(koop_server, time, rate=1000) as web:
        for _ in range(40):
            with pytest.raises(NotFound):
                await web.read(f"{koop_server.address}/nothing.png", whole)
    assert len(koop_server.requests) > 40
