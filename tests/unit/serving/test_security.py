"""The API key, the rate limit and the size limit: each is checked before the body is read and has its own answer."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from serve_app.http.security import client_address, counted_as
from tests.unit.catalogue.in_process import located
from tests.unit.serving.api import ClipDouble, client

KEY: dict[str, Any] = {"api_key": SecretStr("a-long-secret")}


class Unread:
    """A body that fails the test when it is read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the body was read before the request was admitted")


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Basic a-long-secret"}])
async def test_without_the_key_401_before_the_body_is_read(headers: dict[str, str]) -> None:
    async with client(**KEY) as api:
        answer = await api.post("/classify", content=Unread(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "ApiKey"
    core = {"error": "unauthorized", "message": answer.json()["message"]}
    assert answer.json() == {**core, "detail": core}


@pytest.mark.parametrize("headers", [{"X-Api-Key": "a-long-secret"}, {"Authorization": "bearer a-long-secret"}])
async def test_the_key_is_accepted_in_either_header(headers: dict[str, str]) -> None:
    async with client(**KEY) as api:
        assert (await api.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.parametrize("route", ["/", "/docs", "/openapi.json", "/health"])
async def test_public_routes_need_no_key(route: str) -> None:
    async with client(**KEY) as api:
        assert (await api.get(route)).status_code == 200


async def test_a_key_that_is_not_ascii_is_refused_like_any_wrong_key() -> None:
    async with client(**KEY) as api:
        answer = await api.get("/v1/models", headers=[(b"x-api-key", "sleutel-é".encode("latin-1"))])
    assert answer.status_code == 401


async def test_many_wrong_keys_from_an_address_are_429_and_so_is_its_right_guess() -> None:
    limits = {"rate_limit_enabled": True, "rate_limit_wrong_keys": 3, "trusted_proxies": "127.0.0.1", **KEY}
    right = {"X-Api-Key": "a-long-secret"}
    async with client(**limits) as api:

        async def ask(address: str, **headers: str) -> httpx.Response:
            return await api.get("/v1/models", headers={"X-Forwarded-For": address, **headers})

        tries = [{}, {"X-Api-Key": "a"}, {"Authorization": "Bearer b"}, {"X-Api-Key": "c"}, right]
        answers = [await ask(f"2001:db8::{number}", **headers) for number, headers in enumerate(tries)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
        assert answers[3].json()["error"] == "rate_limited"
        assert (await ask("2001:db8:0:1::1", **right)).status_code == 200
        assert (await api.get("/health-check", headers={"X-Forwarded-For": "2001:db8::1"})).status_code == 200


async def test_where_addresses_are_not_known_wrong_keys_lock_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    async with client(rate_limit_enabled=True, rate_limit_wrong_keys=2, **KEY) as api:
        statuses = [(await api.get("/v1/models")).status_code for _ in range(3)]
        right = await api.get("/v1/models", headers={"X-Api-Key": "a-long-secret"})
    assert (statuses, right.status_code) == ([401, 401, 429], 200)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:50123", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:c000:207]:443", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_ipv6_is_counted_by_its_network(address: str, counted: str) -> None:
    assert counted_as(address) == counted


async def test_the_rate_limit_counts_ipv6_by_its_network() -> None:
    limits: dict[str, Any] = {"rate_limit_enabled": True, "rate_limit_burst": 2, "trusted_proxies": "127.0.0.1"}
    async with client(**limits) as api:
        for number, status in enumerate((200, 200, 429)):
            headers = {"X-Forwarded-For": f"2001:db8::{number}"}
            assert (await api.post("/v1/embeddings", json={"input": "a"}, headers=headers)).status_code == status


def test_a_trusted_proxy_is_known_by_its_mapped_address_too() -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    scope: dict[str, Any] = {"type": "http", "client": ("::ffff:10.0.0.1", 1), "headers": headers}
    assert client_address(scope, [ipaddress.ip_network("10.0.0.0/8")]) == "192.0.2.7"


async def test_over_the_burst_is_429_with_retry_after_and_admitted_later() -> None:
    async with client(rate_limit_enabled=True, rate_limit_burst=3, rate_limit_per_minute=60) as api:
        statuses = [(await api.post("/v1/embeddings", json={"input": "a"})).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await api.post("/v1/embeddings", json={"input": "a"})
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["error"] == "rate_limited"
        await asyncio.sleep(1.1)
        assert (await api.post("/v1/embeddings", json={"input": "a"})).status_code == 200


async def test_over_the_rate_is_429_in_the_family_s_own_form() -> None:
    async with client(rate_limit_enabled=True, rate_limit_burst=100, rate_limit_per_minute=2) as api:
        for _ in range(2):
            await api.post("/categorize")
        refused = await api.post("/categorize")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert list(refused.json()) == ["error"]


async def test_reads_are_not_limited() -> None:
    async with client(rate_limit_enabled=True, rate_limit_burst=1, rate_limit_per_minute=1) as api:
        statuses = {(await api.get(route)).status_code for route in ("/health", "/v1/models", "/") for _ in range(5)}
    assert statuses == {200}


async def test_a_search_by_words_asks_a_model_and_is_limited_as_any_inference(tmp_path: Path) -> None:
    clip = ClipDouble()
    limits = {"rate_limit_enabled": True, "rate_limit_burst": 100, "rate_limit_per_minute": 2}
    async with client(clip, **located(tmp_path, **limits)) as api:
        statuses = [(await api.get("/api/images/search?q=a+cup")).status_code for _ in range(3)]
        assert (await api.post("/v1/embeddings", json={"input": "a"})).status_code == 429
        assert (await api.get("/api/images")).status_code == 200
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "never answers"])
async def test_an_unavailable_redis_is_reported(silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if silent else 1
        settings: dict[str, Any] = {
            "rate_limit_enabled": True,
            "rate_limit_redis_url": SecretStr(f"redis://127.0.0.1:{port}/0"),
        }
        async with client(**settings) as api:
            answer = await asyncio.wait_for(api.post("/v1/embeddings", json={"input": "a"}), 30)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_an_address_that_a_client_forged_in_a_separate_header_is_ignored() -> None:
    lines = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")]
    scope: dict[str, Any] = {"type": "http", "client": ("10.0.0.1", 1), "headers": lines}
    assert client_address(scope, [ipaddress.ip_network("10.0.0.0/8")]) == "1.2.3.4"


async def test_requests_over_the_concurrency_limit_get_503_in_our_form() -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        inside.set()
        await go.wait()

    clip = ClipDouble()
    clip.before = hold
    async with client(clip, max_concurrent_requests=1) as api:
        held = asyncio.create_task(api.post("/v1/embeddings", json={"input": "a"}))
        await inside.wait()
        refused = await api.post("/categorize")
        searched = await api.get("/api/images/search?q=a+cup")
        assert (await api.get("/v1/models")).status_code == 200
        go.set()
        assert (await held).status_code == 200
        assert (await api.post("/v1/embeddings", json={"input": "a"})).status_code == 200
    assert (refused.status_code, refused.headers["Retry-After"], list(refused.json())) == (503, "1", ["error"])
    assert (searched.status_code, searched.headers["Retry-After"], list(searched.json())) == (503, "1", ["error"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "nonsense"),
    ],
)
def test_forwarded_addresses_are_believed_only_from_trusted_proxies(peer: str, forwarded: str, expected: str) -> None:
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "headers": []}
    if forwarded:
        scope["headers"] = [(b"x-forwarded-for", forwarded.encode())]
    assert client_address(scope, [ipaddress.ip_network("10.0.0.0/8")]) == expected


async def test_an_announced_body_over_the_limit_is_refused_before_it_is_read() -> None:
    async with client(max_image_mb=0.1) as api:
        headers = {"Content-Length": "60000000", "Content-Type": "multipart/form-data; boundary=x"}
        answer = await api.post("/classify", content=Unread(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


async def test_a_streamed_body_is_cut_at_the_limit() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        while sent < 50_000_000:
            sent += 65536
            yield b"x" * 65536

    async with client(max_image_mb=0.1) as api:
        answer = await api.post(
            "/classify", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert sent < 3_000_000
