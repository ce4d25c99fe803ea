"""The fetcher: which addresses are refused, and that the check also runs at the connection and at every redirect."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from serve_app.http.errors import FetchFailed, FetchTimeout, InvalidRequest, PanoptesError, TooLarge, UrlRefused
from serve_app.inputs.fetch import AddressPolicy, Fetcher, check_url

REFUSED = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "168.63.129.16", "0.0.0.0",
    "100.64.0.1", "100.100.100.200", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "192.0.0.192", "fec0::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not AddressPolicy([]).allows("example.com", address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressPolicy([]).allows("example.com", address)


def test_names_addresses_and_networks_can_be_allowed() -> None:
    policy = AddressPolicy(["images.internal", "10.1.0.0/16", "::1"])
    assert policy.allows("IMAGES.internal.", "192.168.0.9")
    assert policy.allows("anything", "10.1.2.3")
    assert policy.allows("anything", "::1")
    assert not policy.allows("anything", "10.2.0.1")


@pytest.mark.parametrize("url", ["ftp://example.com/a", "file:///etc/passwd", "http:///a", "//x", "http://u:p@x.com/"])
def test_other_schemes_and_credentials_are_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(url)


@pytest.mark.parametrize("url", ["http://x:99999/", "http://[::1/", "http://a b/", "http://x/\r\nHost: y", "http://é/"])
def test_malformed_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url)


@asynccontextmanager
async def server(answer: Callable[[str], bytes | None]) -> AsyncIterator[str]:
    """An HTTP server on 127.0.0.1: raw answers by path; None hangs; an answer that ends in `…` never ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        raw = answer(path)
        try:
            if raw is None:
                await asyncio.sleep(30)
                return
            writer.write(raw)
            while raw.endswith("…".encode()):
                writer.write(b"x" * 65536)
                await writer.drain()
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        listener.close()


def fetcher(timeout_s: float = 5) -> Fetcher:
    return Fetcher(allow_private=["127.0.0.1/32"], max_bytes=100_000, timeout_s=timeout_s)


def redirect(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nimage"


async def test_a_body_is_fetched_over_redirects() -> None:
    async with server(lambda path: OK if path == "/b" else redirect("/b")) as url:
        assert await fetcher().get(f"{url}/a") == b"image"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://10.0.0.1/", UrlRefused),
        ("http://[::1]:1/", UrlRefused),
        ("file:///etc/passwd", UrlRefused),
        ("/a", FetchFailed),
        ("http://[::1/", FetchFailed),
        ("", FetchFailed),
    ],
)
async def test_the_target_of_a_redirect_is_checked_too(location: str, error: type[PanoptesError]) -> None:
    async with server(lambda _path: redirect(location)) as url:
        with pytest.raises(error):
            await fetcher().get(f"{url}/a")


async def test_a_name_that_resolves_to_loopback_is_refused() -> None:
    with pytest.raises(UrlRefused, match="localhost is not a public address"):
        await Fetcher(allow_private=[], max_bytes=100, timeout_s=5).get("http://localhost:9/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
async def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(UrlRefused):
        await Fetcher(allow_private=[], max_bytes=100, timeout_s=5).get(f"http://{host}:9/")


async def test_an_endless_body_is_cut_at_the_limit() -> None:
    async with server(lambda _path: "HTTP/1.1 200 OK\r\n\r\n…".encode()) as url:
        with pytest.raises(TooLarge):
            await fetcher().get(url)


async def test_a_host_that_hangs_is_abandoned_after_the_time_limit() -> None:
    async with server(lambda _path: None) as url:
        with pytest.raises(FetchTimeout):
            await fetcher(timeout_s=0.3).get(url)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-x\r\n", b""])
async def test_anything_but_200_is_an_error_of_the_url(answer: bytes) -> None:
    async with server(lambda _path: answer) as url:
        with pytest.raises(FetchFailed):
            await fetcher().get(url)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".com"])
async def test_a_host_without_an_address_is_an_error_of_the_url(host: str) -> None:
    with pytest.raises(FetchFailed, match="has no address"):
        await fetcher().get(f"http://{host}/")
