"""GET requests to KOOP: at a limited pace, retried while that may help, and to KOOP's hosts only."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar

import httpx

from deployments.catalogue.clock import Clock, utc_now
from deployments.wire.foreign import foreign, named
from jobs.koop.errors import BodyTooLarge, FetchFailed, HostRefused, InvalidXml, NotFound, RedirectLoop, StatusRefused
from jobs.koop.fetching.pace import Pace
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.xml import Element, parse

HEADERS = {"User-Agent": "Panoptes"}
GONE = {404, 410}
BUSY = {429, 503}  # the server is overloaded: all requests must wait
PASSING = {408, 425, 429}  # the 4xx statuses that may pass; all 5xx may

Sleep = Callable[[float], Awaitable[None]]
Read = TypeVar("Read")


@dataclass(frozen=True)
class Limits:
    """How long and how often an address is tried.

    The delay after the n-th try is `first_delay_s` × 2ⁿ⁻¹, at most `longest_delay_s`, times a random factor of 0.5–1.
    It is never less than the server's `Retry-After`; if that is more than `longest_wait_s`, the address is given up.
    """

    tries: int = 6
    first_delay_s: float = 2.0
    longest_delay_s: float = 120.0
    longest_wait_s: float = 900.0
    timeout_s: float = 150.0  # between two bytes: some answers have taken two minutes to start
    whole_timeout_s: float = 600.0
    redirects: int = 5
    most_bytes: int = 100_000_000


@dataclass(frozen=True)
class Answer:
    """An answer with status 200: its address after redirects, its media type without parameters, and its body."""

    url: str
    media_type: str
    body: bytes

    @property
    def is_html(self) -> bool:
        """Whether it is an HTML page, which KOOP's servers sometimes send instead of the requested file."""
        return self.media_type == "text/html" or self.body.lstrip()[:14].lower().startswith(
            (b"<!doctype html", b"<html")
        )


@dataclass(frozen=True)
class Retry:
    """An address will be tried again in `delay_s` seconds, because its `tries`-th try failed for this `reason`."""

    url: str
    tries: int
    reason: str
    delay_s: float


class Unusable(Exception):
    """The answer has status 200 but is not what was requested; the address is tried again."""


class _Passing(Exception):
    """A failure that may pass, so that a retry makes sense."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0, busy: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s, self.busy = reason, retry_after_s, busy


class Web:
    """The client through which all requests to KOOP go. A context manager that keeps connections while it is open."""

    def __init__(
        self,
        endpoints: Endpoints,
        pace: Pace,
        limits: Limits | None = None,
        *,
        on_retry: Callable[[Retry], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = utc_now,
    ) -> None:
        """`on_retry` is called before each retry; `transport`, `sleep` and `clock` replace network and time."""
        self._endpoints, self._pace, self._limits = endpoints, pace, limits or Limits()
        self._on_retry, self._sleep, self._clock = on_retry, sleep, clock
        self._client = httpx.AsyncClient(headers=HEADERS, timeout=self._limits.timeout_s, transport=transport)

    async def __aenter__(self) -> "Web":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def read(
        self,
        url: str,
        read: Callable[[Answer], Read],
        *,
        params: dict[str, Any] | None = None,
        accept: str = "*/*",
    ) -> Read:
        """Fetch an address, and return what `read` makes of its non-empty answer.

        `read` raises Unusable for an answer that may be different at the next try.

        Raises:
            NotFound, StatusRefused, HostRefused, RedirectLoop, BodyTooLarge: without a retry.
            FetchFailed: all tries failed, or the server asks to wait too long.
        """
        try:
            address = str(httpx.URL(url, params=params) if params else httpx.URL(url))
        except httpx.InvalidURL as error:
            raise FetchFailed(url, 0, f"it is not a URL: {foreign(error)}") from None
        for tries in range(1, self._limits.tries + 1):
            try:
                return read(await self._follow(address, accept, tries))
            except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
                failure = _Passing(named(error))
            except Unusable as error:
                failure = _Passing(str(error))
            except _Passing as error:
                failure = error
            await self._wait(address, tries, failure)
        raise AssertionError("the last try raises")

    async def _wait(self, url: str, tries: int, failure: _Passing) -> None:
        if tries == self._limits.tries:
            raise FetchFailed(url, tries, failure.reason)
        if failure.retry_after_s > self._limits.longest_wait_s:
            raise FetchFailed(url, tries, f"{failure.reason}; it asks to wait {failure.retry_after_s:g} s")
        whole = min(self._limits.longest_delay_s, self._limits.first_delay_s * 2.0 ** (tries - 1))
        delay_s = max(whole * random.uniform(0.5, 1.0), failure.retry_after_s)
        if self._on_retry is not None:
            self._on_retry(Retry(url, tries, failure.reason, delay_s))
        if failure.busy:
            await self._pace.pause(delay_s)
        await self._sleep(delay_s)

    async def _follow(self, url: str, accept: str, tries: int) -> Answer:
        """Follow redirects to the answer. Each address is checked and needs a turn of its own."""
        seen: list[str] = []
        address = url
        while len(seen) <= self._limits.redirects:
            if not self._endpoints.allows(address):
                raise HostRefused(url, tries, f"{address} is of a host that is neither KOOP's nor configured")
            seen.append(address)
            if (seconds := await self._pace.turn()) > 0:
                await self._sleep(seconds)
            async with (
                asyncio.timeout(self._limits.whole_timeout_s),
                self._client.stream("GET", address, headers={"Accept": accept}) as response,
            ):
                if response.next_request is None:
                    return await self._answer(response, url, tries)
                address = str(response.next_request.url)
            if address in seen:
                raise RedirectLoop(url, tries, f"{address} redirects to itself")
        raise RedirectLoop(url, tries, f"more than {self._limits.redirects} redirects")

    async def _answer(self, response: httpx.Response, url: str, tries: int) -> Answer:
        status = response.status_code
        reason = f"status {status}"
        if status in GONE:
            raise NotFound(url, tries, reason)
        if status in PASSING or status >= 500:
            raise _Passing(reason, retry_after_s=_retry_after_s(response, self._clock()), busy=status in BUSY)
        if status != 200:
            raise StatusRefused(url, tries, reason)
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._limits.most_bytes:
                raise BodyTooLarge(url, tries, f"the body is larger than {self._limits.most_bytes / 1e6:g} MB")
        if not body.strip():
            raise Unusable("an empty answer")
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(str(response.url), media_type, bytes(body))


def read_xml(answer: Answer) -> Element:
    """The root element of an answer in XML.

    Raises:
        Unusable: it is an HTML page, or not complete, valid XML.
    """
    try:
        return parse(answer.body)
    except InvalidXml as error:
        raise Unusable("an HTML page where XML is expected" if answer.is_html else str(error)) from None


def _retry_after_s(response: httpx.Response, now: datetime) -> float:
    """The seconds in `Retry-After`, which may be a number or a date; 0 if it is missing or cannot be parsed."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return 0.0
