"""Fetches images from URLs that a client names, and from nowhere that a client must not reach (OWASP: SSRF).

The address is checked where the connection is made, after name resolution, and the connection goes to exactly the
address that was checked: a name that answers differently the second time, or a redirect, meets the same check.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from serve_app.errors import FetchFailed, FetchTimeout, InvalidRequest, TooLarge, UrlRefused

MAX_REDIRECTS = 5
MAX_URL_LENGTH = 4096
HEADERS = [("User-Agent", "Panoptes"), ("Accept", "image/*"), ("Accept-Encoding", "identity")]
REDIRECTS = {301, 302, 303, 307, 308}

# Public by its number, yet the door to a cloud's own control plane (Azure).
METADATA_ADDRESSES = frozenset({ipaddress.ip_address("168.63.129.16")})
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressPolicy:
    """Which hosts may be connected to: every public address, and what FETCH_ALLOW_PRIVATE names."""

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
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and ip not in METADATA_ADDRESSES


def _destinations(ip: Address) -> list[Address]:
    """An address and the IPv4 addresses that it is a detour to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip in NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    detours = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    return [ip, *(address for address in detours if address is not None)]


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host, checks every address, and connects to one that was checked."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise FetchFailed(f"The host {host} has no address: check the URL.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        # One address that is not public refuses the name: nobody mixes the two by accident.
        if not all(self._policy.allows(host, address) for address in addresses):
            raise UrlRefused(
                f"{host} is not a public address. Send the image's bytes, or have the operator name the host in "
                "FETCH_ALLOW_PRIVATE."
            )
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class Fetcher:
    """GET for images. One per replica; connections are not kept, since hosts seldom repeat."""

    def __init__(self, *, allow_private: Iterable[str], max_bytes: int, timeout_s: float) -> None:
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._backend = _CheckedBackend(AddressPolicy(allow_private))

    async def get(self, url: str) -> bytes:
        """The body at an http(s) URL, following up to 5 redirects.

        Raises:
            UrlRefused: another scheme, credentials in the URL, or an address that is not public.
            TooLarge: the body passes the limit; it is cut there.
            FetchTimeout, FetchFailed: the host does not answer in time, or with anything but 200.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(url)
        except TimeoutError:
            raise FetchTimeout(f"The URL did not deliver within {self._timeout_s:g} s: try again.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise FetchFailed(f"The URL cannot be fetched ({type(error).__name__}): check it.") from error

    async def _follow(self, url: str) -> bytes:
        async with httpcore.AsyncConnectionPool(network_backend=self._backend, max_keepalive_connections=0) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                headers = [("Host", urlsplit(check_url(url)).netloc), *HEADERS]
                async with pool.stream("GET", url, headers=headers) as response:
                    if response.status not in REDIRECTS:
                        return await self._read(response)
                    url = urljoin(url, _location(response))
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


def _location(response: httpcore.Response) -> str:
    values = [value for name, value in response.headers if name.lower() == b"location"]
    if not values:
        raise FetchFailed("The URL redirects to nowhere: check it.")
    return values[0].decode("latin-1")


def check_url(url: str) -> str:
    """Return a URL that may be tried; UrlRefused or InvalidRequest for one that never can."""
    if len(url) > MAX_URL_LENGTH or not url.isascii() or any(character <= " " for character in url):
        raise InvalidRequest("The URL is malformed: percent-encode it and keep it under 4,096 characters.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        raise InvalidRequest("The URL is malformed: check its host and port.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UrlRefused("Only http:// and https:// URLs are fetched: send another URL or the image's bytes.")
    if parts.username is not None or parts.password is not None:
        raise UrlRefused("A URL with a user name or password is not fetched: send the image's bytes.")
    return url
