"""The guarded application: no key, a wrong key, too many requests, overload, a model that is switched off."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from testbed.application import Application
from testbed.doubles.images import ImageServer
from tests.contract.conftest import API_KEY


@pytest.fixture
def guarded(panoptes: Application) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{panoptes.url}/guarded", timeout=30) as client:
        yield client


KEYED = {"X-Api-Key": API_KEY}


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
@pytest.mark.parametrize("route", ["/classify", "/v1/embeddings", "/categorize"])
def test_without_the_right_key_401(guarded: httpx.Client, route: str, headers: dict[str, str]) -> None:
    answer = guarded.post(route, headers=headers, content=b"x" * 1000)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "ApiKey"
    assert answer.json()["error"] == answer.json()["detail"]["error"] == "unauthorized"


@pytest.mark.parametrize("route", ["/", "/docs", "/openapi.json", "/health"])
def test_public_routes_need_no_key_behind_a_prefix_too(guarded: httpx.Client, route: str) -> None:
    assert guarded.get(route).status_code == 200


def test_requests_over_the_rate_get_429_and_are_admitted_later(guarded: httpx.Client) -> None:
    answers = [guarded.post("/v1/embeddings", headers=KEYED, json={"input": "a"}) for _ in range(12)]
    assert answers[0].status_code == 503
    assert answers[0].json()["error"] == "model_disabled"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"] == "rate_limited"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert guarded.get("/v1/models", headers=KEYED).json() == {"object": "list", "data": []}


def test_overload_is_503_with_retry_after_and_ends(guarded: httpx.Client, image_server: ImageServer) -> None:
    # Two requests wait for a host that does not answer and take both slots; the others are refused.
    body = {"image": {"url": f"{image_server.url}/hang"}, "labels": ["a"]}
    wait_for_the_rate(guarded)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: guarded.post("/v1/classify", headers=KEYED, json=body), range(8)))
    turned_away = [answer for answer in answers if answer.status_code == 503]
    assert turned_away, [answer.status_code for answer in answers]
    assert all(answer.headers["Retry-After"] == "1" for answer in turned_away)
    assert {answer.json()["error"] for answer in turned_away} == {"overloaded"}
    held = [answer for answer in answers if answer.status_code not in {429, 503}]
    assert [answer.json()["error"] for answer in held] == ["fetch_timeout", "fetch_timeout"]
    assert guarded.get("/health").status_code == 200


def wait_for_the_rate(guarded: httpx.Client) -> None:
    """Wait until the rate limit, which an earlier test used up, admits at least two requests."""
    deadline = time.monotonic() + 65
    while time.monotonic() < deadline:
        answer = guarded.post("/v1/embeddings", headers=KEYED, json={"input": "a"})
        if answer.status_code != 429:
            return
        time.sleep(int(answer.headers["Retry-After"]))
    raise AssertionError("the rate limit never let a request in again")
