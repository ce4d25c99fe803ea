"""Fetches images from URLs of clients, and refuses addresses that a client must not reach (OWASP: SSRF).

Addresses are checked after name resolution, where the connection is made, and the connection goes to exactly the
address that was checked. So a redirect, or a name that resolves differently the second time, is checked as well.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from serve_app.http.errors import FetchFailed, FetchTimeout, InvalidRequest, TooLarge, UrlRefused

logger = logging.getLogger("ray.serve.panoptes.fetch")

MAX_REDIRECTS = 5
MAX_URL_LENGTH = 4096
HEADERS = [("User-Agent", "Panoptes"), ("Accept", "image/*"), ("Accept-Encoding", "identity")]
REDIRECTS = {301, 302, 303, 307, 308}

# Addresses that Python's `is_global` accepts, in some patch releases at least, but that must not be reached: Azure's
# control plane, IETF protocol assignments including Oracle's metadata, site-local, documentation.
REFUSED = [ipaddress.ip_network(network) for network in ("168.63.129.16/32", "192.0.0.0/24", "fec0::/10", "3fff::/20")]
RESOLVER_THREADS = 8
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressPolicy:
    """Decides which hosts may be connected to: all public addresses, and the hosts in FETCH_ALLOW_PRIVATE."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """`allowed`: host names, addresses or networks in CIDR notation."""
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: set[str] = set()
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))

    def allows(self, host: str, address: str) -> bool:
        """Whether `host`, which resolved to `address`, may be connected to."""
        if host.lower().rstrip(".") in self._names:
            return True
        ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
        return any(ip in network for network in self._networks) or all(map(_is_public, _destinations(ip)))


def _is_public(ip: Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in network for network in REFUSED)


def _destinations(ip: Address) -> list[Address]:
    """An address and the IPv4 addresses that are embedded in it, to which a gateway would forward."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip in NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    detours = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    return [ip, *(address for address in detours if address is not None)]


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host, checks all its addresses, and connects to one of them."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.AnyIOBackend()
        # Threads of its own: a resolver that hangs must not block the event loop's shared pool.
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError):  # an unknown name, or one that cannot be encoded
            raise FetchFailed(f"The host {host} has no address: check the URL.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        # A single address that is not public is reason to refuse: no honest host has both kinds.
        if not all(self._policy.allows(host, address) for address in addresses):
            raise UrlRefused(
                f"{host} is not a public address. Send the image's bytes, or have the operator name the host in "
                "FETCH_ALLOW_PRIVATE."
            )
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                logger.info("%s does not answer at %s", host, address)
        return await self._backend.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class Fetcher:
    """Fetches images by GET. There is one per replica; connections are not kept, because hosts seldom repeat."""

    def __init__(self, *, allow_private: Iterable[str], max_bytes: int, timeout_s: float) -> None:
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._backend = _CheckedBackend(AddressPolicy(allow_private))
        self._tls = httpcore.default_ssl_context()

    async def get(self, url: str) -> bytes:
        """Fetch the body at an http(s) URL, following up to 5 redirects.

        Raises:
            InvalidRequest: the URL is malformed.
            UrlRefused: another scheme, credentials in the URL, or an address that is not public.
            TooLarge: the body exceeds the limit; the rest of it is not read.
            FetchTimeout: the body did not arrive in time.
            FetchFailed: the host cannot be reached, redirects too often, or answers with another status than 200.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(url)
        except TimeoutError:
            raise FetchTimeout(f"The URL did not deliver within {self._timeout_s:g} s: try again.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise FetchFailed(f"The URL cannot be fetched ({type(error).__name__}): check it.") from error

    async def _follow(self, url: str) -> bytes:
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=self._backend, max_keepalive_connections=0
        ) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                headers = [("Host", urlsplit(check_url(url)).netloc), *HEADERS]
                async with pool.stream("GET", url, headers=headers) as response:
                    if response.status not in REDIRECTS:
                        return await self._read(response)
                    url = _next_url(url, response)
        raise FetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times: send the last address.")

    async def _read(self, response: httpcore.Response) -> bytes:
        if response.status != 200:
            raise FetchFailed(f"The URL answered {response.status}: check that it is public and exists.")
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise TooLarge(f"The image at the URL is larger than {self._max_bytes / 1e6:g} MB: send a smaller one.")
        return bytes(body)


def _next_url(url: str, response: httpcore.Response) -> str:
    location = next((value for name, value in response.headers if name.lower() == b"location"), b"")
    try:
        return urljoin(url, location.decode("ascii"))
    except ValueError:
        raise FetchFailed("The URL redirects to an invalid URL: check it.") from None


def check_url(url: str) -> str:
    """Return the URL if its form is acceptable.

    Raises:
        InvalidRequest: it is malformed.
        UrlRefused: it has another scheme than http(s), no host, or credentials.
    """
    if len(url) > MAX_URL_LENGTH or not url.isascii() or any(character <= " " for character in url):
        raise InvalidRequest("The URL is malformed: percent-encode it and keep it under 4,096 characters.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if the port is not a number
    except ValueError:
        raise InvalidRequest("The URL is malformed: check its host and port.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UrlRefused("Only http:// and https:// URLs are fetched: send another URL or the image's bytes.")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("A URL with a user name or password is not fetched: send the image's bytes.")
    return url
