"""Foreign web pages and rebound host names: refused before the key, the body and the route; named origins may do all."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from configs.settings import SettingsError, settings_from
from configs.types import origin_of
from serve_app.http.origins import host_of, is_allowed_host
from testbed.pictures.images import encoded, two_halves
from tests.unit.serving.api import client

EVIL = "https://evil.example"
FRIEND = "https://app.example:8443"
PNG = {"file": ("a.png", encoded(two_halves(), "PNG"))}
WRITES = [
    ("POST", "/classify"),
    ("POST", "/process"),
    ("POST", "/v1/cluster"),
    ("POST", "/categorize"),
    ("POST", "/api/images"),
    ("DELETE", "/api/images/1"),
    ("PUT", "/nope"),
    ("PATCH", "/"),
]


class Unread:
    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the body of a foreign page was read")


@pytest.mark.parametrize(("method", "route"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""} | {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:9000"},
        {"Origin": "https://localhost"},
        {"Origin": "http://evil.localhost"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "http://localhost, http://localhost"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "Cross-Site"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_foreign_page_cannot_write(method: str, route: str, headers: dict[str, str]) -> None:
    async with client(api_key=SecretStr("secret")) as api:
        answer = await api.request(method, route, content=Unread(), headers={"Content-Type": "text/plain", **headers})
    assert answer.status_code == 403
    assert "CORS_ORIGINS" in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://LOCALHOST:80"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://localhost", "Sec-Fetch-Site": "same-origin"},  # TLS ends in a proxy that is not trusted
    ],
)
async def test_its_own_page_and_clients_without_an_origin_can(headers: dict[str, str]) -> None:
    async with client() as api:
        assert (await api.post("/classify", files=PNG, headers=headers)).status_code == 200


async def test_behind_a_trusted_proxy_that_ends_tls_its_public_origin_is_ours() -> None:
    public = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "photos.example:8443"}
    own = {**public, "Origin": "https://photos.example:8443"}
    cases: list[tuple[dict[str, Any], dict[str, str], int]] = [
        ({"trusted_proxies": "127.0.0.1"}, own, 200),
        ({"trusted_proxies": "127.0.0.1"}, {**own, "Origin": EVIL}, 403),
        ({"trusted_proxies": "127.0.0.1"}, {**own, "Origin": "http://photos.example:8443"}, 403),
        ({"trusted_proxies": "127.0.0.1", "allowed_hosts": "photos.example"}, own, 200),
        ({"trusted_proxies": "127.0.0.1", "allowed_hosts": "other.example"}, own, 421),
        ({"trusted_proxies": "10.0.0.0/8"}, own, 403),
    ]
    for settings, headers, status in cases:
        async with client(**settings) as api:
            assert (await api.post("/classify", files=PNG, headers=headers)).status_code == status, (settings, headers)


async def test_a_rebound_name_stays_out_whatever_it_claims_to_be_forwarded_for() -> None:
    async with client(trusted_proxies="127.0.0.1") as api:
        headers = {"Host": "evil.example:8000", "X-Forwarded-Host": "localhost"}
        assert (await api.get("/api/images", headers=headers)).status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8000", "localhost.:8000", "panoptes.localhost", "127.0.0.1:8000", "127.8.9.1", "[::1]",
        "[::1]:8000", "[::FFFF:127.0.0.1]:8000", "10.244.1.17:8000", "192.168.1.5", "[2001:db8::7]:8000", "0.0.0.0:8000",
        "photos.example", "Photos.Example.:443", "a.b.svc.cluster.local:8000", "xn--bcher-kva.example",
    ],
)  # fmt: skip
async def test_names_of_this_machine_addresses_and_named_hosts_are_answered(host: str) -> None:
    async with client(allowed_hosts="photos.example, *.svc.cluster.local, Bücher.example.") as api:
        assert (await api.get("/health-check", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "EVIL.example.", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example",
        "127.1", "2130706433", "0x7f000001", "photos.example.evil.example", "xphotos.example", "svc.cluster.local", "xn--e1awd7f.example",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("method", "route"), [("GET", "/health"), ("GET", "/api/images"), *WRITES[:6], ("HEAD", "/")])
async def test_any_other_name_is_421(host: str, method: str, route: str) -> None:
    async with client(allowed_hosts="photos.example,*.svc.cluster.local", api_key=SecretStr("secret")) as api:
        answer = await api.request(method, route, headers={"Host": host})
    assert answer.status_code == 421
    assert method == "HEAD" or "ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b"localhost", b"localhost"],
        [b"localhost", b"evil.example"],
        [b"localhost, evil.example"],
        [b"localhost/"],
        [b"user@localhost"],
        [b"local host"],
        [b"::1"],
        [b"[::1"],
        [b"localhost:port"],
        ["bücher.example".encode()],
        [b"\xff\xfe"],
    ],
)
async def test_a_host_header_that_is_none_is_400(hosts: list[bytes]) -> None:
    assert (await _raw("GET", "/health-check", [(b"host", host) for host in hosts]))["status"] == 400


async def test_http_1_0_may_leave_the_host_out() -> None:
    assert (await _raw("GET", "/health-check", [], version="1.0"))["status"] == 200


async def _raw(method: str, path: str, headers: list[tuple[bytes, bytes]], version: str = "1.1") -> dict[str, Any]:
    """The start of the answer to a request with exactly these headers."""
    sent = list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
    }
    scope |= {
        "headers": headers,
        "http_version": version,
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    async with client() as api:
        await api._transport.app({**scope, "asgi": {"version": "3.0"}}, receive, send)  # type: ignore[attr-defined]
    return sent[0]


@pytest.mark.parametrize("route", ["/classify", "/api/images/1", "/nope"])
async def test_the_preflight_of_a_named_origin_is_answered_before_the_key(route: str) -> None:
    asks = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-api-key,x-stainless-os",
    }
    async with client(api_key=SecretStr("secret"), cors_origins=f"https://other.example, {FRIEND}") as api:
        answer = await api.options(route, headers=asks)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"x-api-key", "authorization", "content-type", "x-request-id", "x-stainless-os"} <= set(allowed)
    assert "Origin" in answer.headers["Vary"]
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("settings", [{}, {"cors_origins": FRIEND}])
@pytest.mark.parametrize("origin", [EVIL, "null", "https://app.example", "http://app.example:8443"])
async def test_the_preflight_of_any_other_origin_is_403(settings: dict[str, Any], origin: str) -> None:
    async with client(**settings) as api:
        answer = await api.options("/classify", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert (answer.status_code, answer.json()["error"]) == (403, "foreign_origin")
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_named_origin_may_write_and_read_also_errors() -> None:
    async with client(api_key=SecretStr("secret"), cors_origins=FRIEND) as api:
        key = {"X-Api-Key": "secret"}
        written = await api.post("/classify", files=PNG, headers={"Origin": FRIEND, **key})
        refused = await api.post("/classify", headers={"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"})
        foreign = await api.get("/v1/models", headers={"Origin": EVIL, **key})
        unasked = await api.get("/v1/models", headers=key)
    assert (written.status_code, refused.status_code, foreign.status_code) == (200, 401, 200)
    for answer in (written, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    for answer in (written, refused, foreign, unasked):
        assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in foreign.headers


async def test_without_named_origins_answers_stay_out_of_other_pages() -> None:
    async with client() as api:
        for route in ("/", "/docs", "/v1/models", "/nope"):
            answer = await api.get(route, headers={"Origin": EVIL})
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "values",
    [
        {"cors_origins": "*"},
        {"cors_origins": "null"},
        {"cors_origins": "app.example"},
        {"cors_origins": "https://app.example/path"},
        {"cors_origins": "https://app.example/"},
        {"cors_origins": "file://x"},
        {"allowed_hosts": "https://photos.example"},
        {"allowed_hosts": "photos.example:8000"},
        {"allowed_hosts": "a*.example"},
        {"allowed_hosts": "photos..example"},
    ],
)
def test_what_is_no_host_or_origin_is_refused_at_start(values: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        settings_from(values)


def test_origins_and_hosts_in_one_form() -> None:
    assert settings_from({"cors_origins": "https://BÜCHER.example:443"}).security.cors_origins == (
        "https://xn--bcher-kva.example",
    )
    assert origin_of("http://[::1]:80") == "http://[::1]"
    assert origin_of("null") is None
    assert host_of("[::1]:8000") == "::1"
    assert is_allowed_host("anything", ("*",))
    assert not is_allowed_host("example.org", ("*.example.org",))
