"""Liveness, readiness and health: busy is not dead, nothing takes long, and Serve is asked by one thread at a time."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from deployments.runtime.spec import Deployed
from deployments.runtime.worker import ModelStatus
from deployments.specs import all_specs
from serve_app.clients import client as clients
from serve_app.clients import replicas
from serve_app.clients.clip import ClipClient
from serve_app.clients.models import Models
from serve_app.clients.remembered import Remembered
from serve_app.clients.replicas import RunningReplicas
from tests.unit.serving.api import WEIGHTS, Doubles, client

STATUS = ModelStatus("clip", "cpu", 1.0, queue=0, items=0, batches=0)
HEALTH_S = 3.0


class Asked:
    """A deployment's handle whose `status` answers, raises or hangs, as `outcome` says at each call."""

    def __init__(self, outcome: object = (STATUS,)) -> None:
        self.outcome, self.calls, self.status = outcome, 0, self

    def options(self, **_: Any) -> "Asked":
        return self

    def remote(self) -> asyncio.Task[Any]:
        self.calls += 1
        return asyncio.create_task(self._answer())

    async def _answer(self) -> Any:
        if isinstance(self.outcome, asyncio.Event):
            await self.outcome.wait()
            return (STATUS,)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Serve:
    """A double of `serve.status`: counts how many threads are in it at once, and does what `act` does."""

    def __init__(self) -> None:
        self.act: Callable[[], object] = lambda: None
        self.running, self.calls, self.at_once, self.most_at_once = 1, 0, 0, 0

    def status(self) -> Any:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.act()
        finally:
            self.at_once -= 1
        clip = SimpleNamespace(replica_states={"RUNNING": self.running, "STARTING": 1})
        return SimpleNamespace(applications={"panoptes": SimpleNamespace(deployments={"Clip": clip})})

    def get_replica_context(self) -> Any:
        return SimpleNamespace(app_name="panoptes")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Serve:
    double = Serve()
    monkeypatch.setattr(replicas, "serve", double)
    monkeypatch.setattr(replicas, "REMEMBERED_S", 0.0)
    monkeypatch.setattr(clients, "running_replicas", RunningReplicas())
    monkeypatch.setattr(clients, "STATUS_FRESH_S", 0.0)
    return double


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What a call of `serve.status` waits for."""
    event = threading.Event()
    yield event
    event.set()


def with_clip(asked: Asked) -> Doubles:
    models = Doubles()
    models.replace(ClipClient(all_specs()["Clip"], Deployed(asked, (WEIGHTS,))))  # type: ignore[arg-type]
    return models


@pytest.mark.parametrize("route", ["/livez", "/readyz", "/health", "/v1/health", "/health-check"])
async def test_probes_need_no_key(route: str) -> None:
    async with client(api_key="secret") as api:
        assert (await api.get(route)).status_code == 200


async def test_liveness_asks_no_model() -> None:
    async with client(models=Models({})) as api:
        answer = await api.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_it_is_ready_once_every_model_was_loaded_and_stays_ready(served: Serve) -> None:
    asked = Asked()
    served.running = 0
    async with client(models=with_clip(asked)) as api:
        before = await api.get("/readyz")
        assert (before.status_code, before.json()) == (503, {"status": "starting", "starting": ["Clip"]})
        served.running = 1
        assert (await api.get("/readyz")).json() == {"status": "ready", "starting": []}
        asked.outcome, served.running = asyncio.Event(), 0
        calls = asked.calls
        after = await api.get("/readyz")
    assert (after.status_code, asked.calls) == (200, calls)


async def test_a_model_that_is_busy_from_the_start_is_ready_because_it_is_loaded(served: Serve) -> None:
    async with client(models=with_clip(Asked(asyncio.Event()))) as api:
        assert (await api.get("/readyz")).status_code == 200


async def test_what_was_last_known_of_a_busy_model_is_said_with_its_age(served: Serve) -> None:
    asked = Asked()
    async with client(models=with_clip(asked)) as api:
        assert (await api.get("/health")).json()["status"] == "ok"
        asked.outcome = asyncio.Event()
        started = time.monotonic()
        busy = await api.get("/health")
        took = time.monotonic() - started
        listed = await api.get("/v1/models")
        asked.outcome.set()
        again = await api.get("/health")
    clip = busy.json()["models"][0]
    assert (busy.status_code, busy.json()["status"], busy.json()["classifier"]) == (200, "busy", "loaded")
    assert (clip["state"], clip["loaded"], clip["replicas"]) == ("busy", True, 1)
    assert took < HEALTH_S
    assert 1.0 <= clip["age_s"] <= took + 1
    assert "does not answer" in clip["error"]
    assert "does not answer" in listed.json()["data"][0]["error"]
    assert listed.json()["data"][0]["age_s"] >= clip["age_s"]
    assert (again.json()["status"], again.json()["models"][0]["state"]) == ("ok", "ok")


@pytest.mark.parametrize("outcome", [BackPressureError(num_queued_requests=1, max_queued_requests=1), TimeoutError()])
async def test_a_full_queue_is_busy_not_dead(served: Serve, outcome: Exception) -> None:
    async with client(models=with_clip(Asked(outcome))) as api:
        answer = await api.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "busy")


async def test_a_model_without_a_replica_or_with_one_that_ended_is_unhealthy(served: Serve) -> None:
    asked = Asked(RayActorError())
    async with client(models=with_clip(asked)) as api:
        ended = await api.get("/health")
        served.running = 0
        asked.outcome = asyncio.Event()  # a handle without a replica waits for one
        started = time.monotonic()
        away = await api.get("/health")
    assert time.monotonic() - started < 1
    for answer in (ended, away):
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert answer.json()["models"][0]["state"] == "away"


async def test_serve_that_hangs_is_asked_by_one_thread_and_delays_nothing(served: Serve, held: threading.Event) -> None:
    served.act = held.wait
    async with client(models=with_clip(Asked())) as api:
        started = time.monotonic()
        for _ in range(2):
            answers = await asyncio.gather(*(api.get(route) for route in ("/health", "/v1/models", "/readyz")))
            assert [answer.status_code for answer in answers] == [200, 200, 200]
        took = time.monotonic() - started
    assert took < 2 * HEALTH_S
    assert (served.calls, served.most_at_once) == (1, 1)
    health, listed, _ = answers
    assert health.json()["status"] == "ok"  # CLIP itself answers, so at least one replica runs
    assert listed.json()["data"][0]["replicas"] == 1


async def test_many_reports_of_an_application_that_hangs_wholly_ask_once_and_end_in_time(
    served: Serve, held: threading.Event
) -> None:
    asked = Asked(asyncio.Event())
    served.act = held.wait
    async with client(models=with_clip(asked)) as api:
        started = time.monotonic()
        answers = await asyncio.gather(*(api.get("/health") for _ in range(20)))
        took = time.monotonic() - started
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "busy")}
    assert took < HEALTH_S
    assert (served.calls, asked.calls) == (1, 1)


@pytest.mark.parametrize("error", [RuntimeError("dictionary changed size"), KeyError("app"), RayActorError()])
async def test_serve_that_fails_is_a_report_without_it_and_no_500(served: Serve, error: Exception) -> None:
    def fail() -> None:
        raise error

    asked = Asked(asyncio.Event())
    async with client(models=with_clip(asked)) as api:
        served.act = fail
        health, listed = await api.get("/health"), await api.get("/v1/models")
    assert (health.status_code, health.json()["status"]) == (200, "busy")
    assert "does not answer" in listed.json()["data"][0]["error"]


async def test_a_question_is_asked_once_at_a_time_and_survives_callers_that_give_up() -> None:
    asked, answered = 0, asyncio.Event()

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await answered.wait()
        return asked

    question = Remembered(ask)
    impatient = [asyncio.create_task(question.get(5)) for _ in range(8)]
    early = await question.get(0.01)
    for one in impatient[:4]:
        one.cancel()
    answered.set()
    late = [await one for one in impatient[4:]]
    assert (early.value, early.age_s, type(early.error)) == (None, None, TimeoutError)
    assert {(known.value, known.error) for known in late} == {(1, None)}
    assert asked == 1


async def test_the_last_answer_is_kept_when_a_later_question_fails() -> None:
    outcomes: list[int | Exception] = [7, ValueError("broken"), 8]

    async def ask() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    question = Remembered(ask)
    first, failed, second = [await question.get(1) for _ in range(3)]
    assert (first.value, first.error, second.value, second.error) == (7, None, 8, None)
    assert (failed.value, str(failed.error)) == (7, "broken")
    assert failed.age_s is not None
    assert failed.age_s >= 0
