"""Requests to KOOP: which are retried, at which pace, and to which hosts."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest

from jobs.koop.errors import BodyTooLarge, FetchFailed, HostRefused, NotFound, RedirectLoop, StatusRefused
from jobs.koop.fetching.pace import LocalPace, TokenBucket
from jobs.koop.fetching.web import Answer, Limits, Retry, Unusable, Web, read_xml
from jobs.koop.search.endpoints import Endpoints
from tests.unit.koop.recorded import recorded, web, whole

URL = "https://repository.overheid.nl/frbr/a.xml"
HTML = "<!DOCTYPE html><html><body>Even geduld</body></html>"

Handler = Callable[[httpx.Request], httpx.Response]


def in_turn(*answers: httpx.Response | Exception) -> Handler:
    """Gives these answers in turn, and fails the test when more are requested."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return answer


class Body(httpx.AsyncByteStream):
    """A body that arrives in pieces; the last may be an error of the connection."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def ok(body: bytes | str = b"<a/>", media_type: str = "application/xml; charset=utf-8") -> httpx.Response:
    return httpx.Response(200, content=body, headers={"Content-Type": media_type})


FAULTS: list[tuple[httpx.Response | Exception, str]] = [
    (httpx.ConnectError("refused"), "ConnectError: refused"),
    (httpx.ReadTimeout(""), "ReadTimeout"),
    (httpx.Response(200, stream=Body(b"<a>", httpx.RemoteProtocolError("peer closed connection"))), "peer closed connection"),
    (httpx.Response(200, stream=Body(b"no gzip"), headers={"Content-Encoding": "gzip"}), "DecodingError"),
    (httpx.Response(429), "status 429"),
    (httpx.Response(500, html=HTML), "status 500"),
    (httpx.Response(503, html=HTML), "status 503"),
    (httpx.Response(408), "status 408"),
    (ok(b""), "an empty answer"),
    (ok(b" \r\n"), "an empty answer"),
    (ok(HTML, "text/html"), "an HTML page where XML is expected"),
    (ok(HTML), "an HTML page where XML is expected"),
    (ok(b"<html><p></html>", "text/html"), "an HTML page where XML is expected"),
    (ok(b"<a><b>"), "not well-formed XML"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_transient_failures_are_retried(fault: httpx.Response | Exception, reason: str) -> None:
    retries: list[Retry] = []
    async with web(in_turn(fault, ok(recorded("wetsuite/stcrt.xml"))), retries=retries) as koop:
        assert (await koop.read(URL, read_xml)).tag == "officiele-publicatie"
    (retry,) = retries
    assert (retry.url, retry.tries) == (URL, 1)
    assert reason in retry.reason


async def test_delays_grow_with_jitter_of_up_to_half() -> None:
    retries: list[Retry] = []
    slept: list[float] = []
    limits = Limits(tries=6, first_delay_s=2, longest_delay_s=10)
    faults = [httpx.Response(500) for _ in range(5)]
    async with web(in_turn(*faults, ok()), limits=limits, retries=retries, slept=slept) as koop:
        await koop.read(URL, whole)
    assert [retry.tries for retry in retries] == [1, 2, 3, 4, 5]
    assert [retry.delay_s for retry in retries] == slept
    for delay, most in zip(slept, [2, 4, 8, 10, 10], strict=True):
        assert most / 2 <= delay <= most
    assert len(set(slept)) == 5


async def test_the_last_failure_is_reported_with_the_address_and_the_tries() -> None:
    faults: list[httpx.Response | Exception] = [
        httpx.ConnectError("refused"),
        httpx.Response(503),
        ok(HTML, "text/html"),
    ]
    async with web(in_turn(*faults), limits=Limits(tries=3)) as koop:
        with pytest.raises(FetchFailed) as failed:
            await koop.read(URL, read_xml)
    assert type(failed.value) is FetchFailed
    assert (failed.value.url, failed.value.tries) == (URL, 3)
    assert failed.value.reason == "an HTML page where XML is expected"
    assert all(part in str(failed.value) for part in (URL, "3 times", "an HTML page"))


NOW = datetime(2023, 10, 27, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "at_least"),
    [
        ("45", 45),
        ("Fri, 27 Oct 2023 12:01:30 GMT", 90),
        ("Fri, 27 Oct 2023 11:00:00 GMT", 0),
        ("soon", 0),
        ("Fri, 27 Oct 2023 12:01:30", 0),
        ("²", 0),
    ],
)
async def test_retry_after_is_kept_as_seconds_and_as_a_date(header: str, at_least: float) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    busy = httpx.Response(429, headers=[(b"Retry-After", header.encode("latin-1", "replace"))])
    transport = httpx.MockTransport(in_turn(busy, ok()))
    pace = LocalPace(TokenBucket(100.0, 10, clock=lambda: 0.0))
    limits = Limits(first_delay_s=2)
    async with Web(Endpoints(), pace, limits, transport=transport, sleep=sleep, clock=lambda: NOW) as koop:
        await koop.read(URL, whole)
    assert slept[0] == at_least if at_least else 1 <= slept[0] <= 2


async def test_a_wait_that_is_too_long_is_reported_at_once() -> None:
    busy = httpx.Response(503, headers={"Retry-After": "86400"})
    async with web(in_turn(busy)) as koop:
        with pytest.raises(FetchFailed, match="asks to wait 86400 s") as failed:
            await koop.read(URL, whole)
    assert failed.value.tries == 1


async def test_a_busy_server_pauses_all_requests() -> None:
    now = 0.0
    bucket = TokenBucket(1.0, 50, clock=lambda: now)
    busy = httpx.Response(429, headers={"Retry-After": "60"})
    slept: list[float] = []
    async with web(in_turn(busy, ok()), bucket=bucket, slept=slept) as koop:
        await koop.read(URL, whole)
    assert slept == [60, 60]  # its own wait, then the wait for its turn, equally long because this clock stands still
    assert bucket.reserve() == 61


async def test_every_request_takes_a_turn() -> None:
    slept: list[float] = []
    bucket = TokenBucket(0.5, 1, clock=lambda: 0.0)
    there = httpx.Response(302, headers={"Location": "/frbr/b.xml"})
    async with web(in_turn(there, ok(), ok()), bucket=bucket, slept=slept) as koop:
        assert (await koop.read(URL, whole)).url == "https://repository.overheid.nl/frbr/b.xml"
        await koop.read(URL, whole)
    assert slept == [2, 4]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_missing_file_is_not_retried(status: int) -> None:
    async with web(in_turn(httpx.Response(status, html=HTML))) as koop:
        with pytest.raises(NotFound, match=f"status {status}"):
            await koop.read(URL, whole)


@pytest.mark.parametrize("status", [204, 400, 401, 403, 304])
async def test_other_refusals_are_final(status: int) -> None:
    async with web(in_turn(httpx.Response(status))) as koop:
        with pytest.raises(StatusRefused, match="tried once") as failed:
            await koop.read(URL, whole)
    assert failed.value.reason == f"status {status}"


async def test_a_redirect_to_itself_is_not_followed() -> None:
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(301, headers={"Location": str(request.url)})

    async with web(answer) as koop:
        with pytest.raises(RedirectLoop, match="to itself"):
            await koop.read(URL, whole)
    assert asked == 1


async def test_redirects_are_capped() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": f"{request.url}x"})

    async with web(answer, limits=Limits(redirects=2)) as koop:
        with pytest.raises(RedirectLoop, match="more than 2"):
            await koop.read(URL, whole)


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/", "https://evil.example/a.xml", "file:///etc/passwd", "//evil.example"],
)
async def test_redirects_to_other_hosts_are_refused(location: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": location})

    async with web(answer) as koop:
        with pytest.raises(HostRefused, match="neither KOOP's nor configured"):
            await koop.read(URL, whole)
    assert asked == ["repository.overheid.nl"]


async def test_a_redirect_to_an_invalid_url_is_reported() -> None:
    broken = (httpx.Response(302, headers={"Location": "http://[::1"}) for _ in range(2))
    async with web(in_turn(*broken), limits=Limits(tries=2)) as koop:
        with pytest.raises(FetchFailed, match="Invalid URL in location header"):
            await koop.read(URL, whole)


async def test_a_record_cannot_name_another_host() -> None:
    async with web(in_turn()) as koop:
        for url in ("http://127.0.0.1:6379/", "https://evil.example/a.xml", "http://[::1", "a.xml", ""):
            with pytest.raises(FetchFailed):
                await koop.read(url, whole)


async def test_redirects_between_koops_hosts_are_followed() -> None:
    there = httpx.Response(301, headers={"Location": "https://zoek.officielebekendmakingen.nl/a.xml"})
    async with web(in_turn(there, ok())) as koop:
        assert (await koop.read(URL, whole)).url == "https://zoek.officielebekendmakingen.nl/a.xml"


@pytest.mark.parametrize("encoded", [False, True])
async def test_a_body_is_cut_at_the_limit(encoded: bool) -> None:
    body = b" " * 1_000_001
    headers = {"Content-Encoding": "gzip"} if encoded else {}
    answer = httpx.Response(200, content=gzip.compress(body) if encoded else body, headers=headers)
    async with web(in_turn(answer), limits=Limits(most_bytes=1_000_000)) as koop:
        with pytest.raises(BodyTooLarge, match="1 MB"):
            await koop.read(URL, whole)


class Endless(httpx.AsyncByteStream):
    """A body that begins and then sends nothing more."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"<a>"
        await asyncio.Event().wait()


async def test_a_body_that_never_ends_times_out() -> None:
    retries: list[Retry] = []
    limits = Limits(whole_timeout_s=0.01)
    async with web(in_turn(httpx.Response(200, stream=Endless()), ok()), limits=limits, retries=retries) as koop:
        assert (await koop.read(URL, whole)).body == b"<a/>"
    assert retries[0].reason == "TimeoutError"


async def test_a_reader_may_reject_an_answer() -> None:
    def read(answer: Answer) -> str:
        if not answer.body.startswith(b"\x89PNG"):
            raise Unusable("no image")
        return answer.media_type

    image = ok(b"\x89PNG...", "image/png")
    async with web(in_turn(ok(HTML, "text/html"), image)) as koop:
        assert await koop.read(URL, read, accept="image/*") == "image/png"


async def test_parameters_and_headers_are_sent() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"query": 'dt.title=="a & b"', "startRecord": "1"}
        assert request.headers["Accept"] == "text/xml"
        assert request.headers["User-Agent"] == "Panoptes"
        return ok()

    async with web(answer) as koop:
        await koop.read(URL, whole, params={"query": 'dt.title=="a & b"', "startRecord": 1}, accept="text/xml")
