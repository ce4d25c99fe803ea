"""The requests of the attacks, and how their answers are judged."""

import random

import pytest

from benchmarks.reliability.fuzz import attack, good_requests, send
from benchmarks.reliability.mutations import Wrong, mutated
from benchmarks.reliability.slow import keep
from testbed.doubles.loopback import LoopbackServer, QuietHandler
from tests.unit.serving.api import client


class Answering(QuietHandler):
    """Answers with the status that the path names; JSON unless the path ends with `plain`. Keeps no connection."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        body = b"oops" if self.path.endswith("plain") else b"{}"
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


async def test_the_fuzz_reaches_every_route_that_takes_a_body() -> None:
    async with client() as api:
        schema = (await api.get("/openapi.json")).json()
    taking = {path for path, methods in schema["paths"].items() if "post" in methods}
    assert taking <= {good.target for good in good_requests() if good.method == "POST"}


def test_the_same_seed_gives_the_same_requests() -> None:
    def made(seed: int) -> list[Wrong]:
        return [mutated(good, random.Random(f"{seed}-{number}")) for number, good in enumerate(good_requests())]

    assert made(1) == made(1)
    assert made(1) != made(2)


@pytest.mark.parametrize(
    ("path", "status", "fault"),
    [
        ("/200/plain", 200, ""),
        ("/422/json", 422, ""),
        ("/503/json", 503, ""),
        ("/404/plain", 404, "404 that is not JSON: b'oops'"),
        ("/500/json", 500, "500: b'{}'"),
    ],
)
def test_an_answer_is_faulty_if_it_is_a_500_or_an_error_that_is_not_json(path: str, status: int, fault: str) -> None:
    with LoopbackServer("127.0.0.1", Answering) as server:
        seen, _, found = send(server.address, Wrong("GET", path))
    assert (seen, found) == (status, fault)


def test_a_request_without_an_answer_is_faulty() -> None:
    with LoopbackServer("127.0.0.1", QuietHandler) as server:
        address = server.address
    status, _, fault = send(address, Wrong("GET", "/"))
    assert (status, fault) == (0, "no answer (ConnectionRefusedError)")


def test_every_faulty_answer_is_reported() -> None:
    with LoopbackServer("127.0.0.1", QuietHandler) as server:  # which answers every method with 501 in HTML
        seen = attack(server.address, 30, seed=1)
    assert (seen.sent, seen.alive) == (30, False)
    assert seen.statuses == {501: 30}
    assert len(seen.faults) >= 25  # all but those to HEAD, whose answers have no body


def test_a_connection_is_kept_until_the_server_closes_it() -> None:
    with LoopbackServer("127.0.0.1", Answering) as server:
        closed, seconds, line = keep(server.address, b"GET /204/x HTTP/1.0\r\n\r\n", b"")
    assert (closed, line) == (True, "HTTP/1.0 204 No Content")
    assert seconds < 30
