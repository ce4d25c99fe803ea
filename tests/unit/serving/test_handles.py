"""Errors of a deployment become answers that say what to do."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata
from ray.exceptions import ObjectLostError, RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.catalogue.spec import CATALOGUER
from deployments.runtime.calls import INGRESS, Call
from deployments.runtime.errors import ModelFailed, PromptTooLong, ReaderFailed
from deployments.runtime.spec import Deployed
from deployments.specs import all_specs
from deployments.video.spec import VIDEO
from serve_app.clients import calls, video
from serve_app.clients.calls import answer, ours
from serve_app.clients.catalogue import CataloguerClient
from serve_app.clients.remembered import Known
from serve_app.clients.replicas import running_replicas
from serve_app.clients.video import VideoClient
from serve_app.http.errors import InvalidPrompt, ModelUnavailable, Overloaded, PanoptesError
from serve_app.http.middleware import weights_used
from testbed.replicas import raised_by_replica


class Failing:
    """A call through a handle that raises the given error, or never ends when there is none."""

    def __init__(self, error: Exception | None) -> None:
        self._error, self.cancelled = error, False

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._error is not None:
            raise self._error
        return asyncio.sleep(60).__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Told:
    """A call that is answered."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        return "told"

    def cancel(self) -> None:
        raise AssertionError("nobody left")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (calls, video):
        monkeypatch.setattr(module, "INGRESS", replace(INGRESS, pause_s=0.0))


@pytest.mark.parametrize(
    ("raised", "answered", "retry_after_s"),
    [
        (BackPressureError(num_queued_requests=9, max_queued_requests=9), Overloaded, 1),
        (RayActorError(), ModelUnavailable, 5),
        (ModelFailed("out of memory"), ModelUnavailable, 5),
        (PromptTooLong("word word", 77), InvalidPrompt, None),
    ],
)
async def test_errors_of_a_model_become_ours(
    raised: Exception, answered: type[PanoptesError], retry_after_s: int | None
) -> None:
    with pytest.raises(answered) as caught:
        await answer("Clip", lambda: Failing(raised))
    assert caught.value.retry_after_s == retry_after_s


async def test_an_error_that_ray_wrapped_keeps_its_message_and_shows_no_stack_trace() -> None:
    wrapped = raised_by_replica(PromptTooLong("word word", 77), "score", "Traceback: File /srv/x.py")
    with pytest.raises(InvalidPrompt) as caught:
        await answer("Clip", lambda: Failing(wrapped))
    assert caught.value.message.endswith("is too long: the model reads at most 77 tokens, shorten it.")
    assert "Traceback" not in caught.value.message


async def test_an_unavailable_deployment_is_reported() -> None:
    class Gone(DeploymentUnavailableError):
        def __init__(self) -> None:
            """The real error needs an id that only Serve creates."""

    with pytest.raises(ModelUnavailable):
        await answer("Clip", lambda: Failing(Gone()))


async def test_a_call_is_cancelled_when_its_caller_is() -> None:
    call = Failing(None)
    asked = asyncio.create_task(answer("Clip", lambda: call))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert call.cancelled


@pytest.mark.parametrize(("ended", "retries", "told"), [(2, 2, True), (3, 2, False), (1, 0, False)])
async def test_a_call_whose_replica_died_is_retried_at_most_twice(ended: int, retries: int, told: bool) -> None:
    outcomes: Iterator[Call[str]] = iter([*(Failing(RayActorError()) for _ in range(ended)), Told()])
    asked = answer("Clip", lambda: next(outcomes), replace(INGRESS, pause_s=0.0, attempts=1 + retries))
    if told:
        assert await asked == "told"
    else:
        with pytest.raises(ModelUnavailable):
            await asked
        assert isinstance(next(outcomes), Told)


def by_grpc(code: StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata())


@pytest.mark.parametrize("ended", [by_grpc(StatusCode.CANCELLED), ObjectLostError("ff" * 28, None, "")])
async def test_an_interrupted_call_and_a_lost_answer_are_retried(ended: Exception) -> None:
    outcomes: Iterator[Call[str]] = iter([Failing(ended), Told()])
    assert await answer("Clip", lambda: next(outcomes)) == "told"


async def test_a_message_that_is_too_large_is_not_reported_as_an_error_of_the_model() -> None:
    with pytest.raises(AioRpcError):
        await answer("Clip", lambda: Failing(by_grpc(StatusCode.RESOURCE_EXHAUSTED)))


@pytest.mark.parametrize("raised", [PromptTooLong("word word", 77), ModelFailed("out of memory")])
async def test_an_error_that_the_model_raised_is_not_retried(raised: Exception) -> None:
    outcomes: Iterator[Call[str]] = iter([Failing(raised), Told()])
    with pytest.raises(PanoptesError):
        await answer("Clip", lambda: next(outcomes))
    assert isinstance(next(outcomes), Told)


class Silent:
    """A deployment whose every call raises."""

    def __init__(self, error: Exception) -> None:
        self._error, self.status, self.wake = error, self, self

    def options(self, **_: Any) -> "Silent":
        return self

    def remote(self, *_: Any) -> Failing:
        return Failing(self._error)


@pytest.mark.parametrize("error", [RayActorError(), by_grpc(StatusCode.UNAVAILABLE), TimeoutError()])
async def test_a_deployment_that_does_not_answer_is_reported_and_cannot_fail_a_wake_up(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def running(_patience_s: float) -> Known[dict[str, int]]:
        return Known({"Cataloguer": 1}, 0.0, None)

    monkeypatch.setattr(running_replicas, "get", running)
    weights_used.set(set())
    workers = CataloguerClient(all_specs()["Cataloguer"], Deployed(Silent(error), (CATALOGUER,)))  # type: ignore[arg-type]
    await workers.wake()
    state = await workers.state()
    assert (state.statuses, state.replicas, state.error) == (None, 1, f"does not answer ({type(error).__name__})")


class Frames:
    """A deployment whose streams break off after some batches; only the last stream is complete."""

    def __init__(self, *given: int) -> None:
        self._given, self.frames, self.cancelled = iter(given), self, 0

    def options(self, **_: Any) -> "Frames":
        return self

    def remote(self, *_: Any) -> "Stream":
        return Stream(self, next(self._given))


class Stream:
    """Batches 1 to 5, cut off after `given` of them."""

    def __init__(self, frames: Frames, given: int) -> None:
        self._frames, self._given = frames, given

    async def __aiter__(self) -> AsyncIterator[int]:
        for number in range(1, 6):
            if number > self._given:
                raise RayActorError
            yield number

    def cancel(self) -> None:
        self._frames.cancelled += 1


async def test_an_interrupted_stream_continues_where_it_stopped() -> None:
    frames = Frames(2, 0, 5)
    videos = VideoClient(all_specs()["Video"], Deployed(frames, (VIDEO,)))  # type: ignore[arg-type]
    batches: list[object] = [batch async for batch in videos.frames(None, 1.0, 9, 224)]
    assert batches == [1, 2, 3, 4, 5]
    assert frames.cancelled == 3


def test_a_fault_of_the_reader_is_not_translated_into_the_clients() -> None:
    fault = raised_by_replica(ReaderFailed("its log says which"))
    assert ours(fault) is fault


async def test_a_stream_that_always_breaks_off_is_an_error() -> None:
    videos = VideoClient(all_specs()["Video"], Deployed(Frames(1, 2, 3, 5), (VIDEO,)))  # type: ignore[arg-type]
    stream = videos.frames(None, 1.0, 9, 224)
    batches: list[object] = [await anext(stream) for _ in range(3)]
    assert batches == [1, 2, 3]
    with pytest.raises(ModelUnavailable):
        await anext(stream)
