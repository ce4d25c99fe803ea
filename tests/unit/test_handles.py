"""What a deployment raises becomes an answer that says what to do."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.errors import ModelFailed, PromptTooLong
from serve_app.errors import InvalidPrompt, ModelUnavailable, Overloaded, PanoptesError
from serve_app.handles import _answer


class Failing:
    """A call through a handle that raises, or never ends when there is nothing to raise."""

    def __init__(self, error: Exception | None) -> None:
        self._error, self.cancelled = error, False

    def __await__(self) -> Generator[Any, Any, None]:
        if self._error is not None:
            raise self._error
        return asyncio.sleep(60).__await__()

    def cancel(self) -> None:
        self.cancelled = True


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
        await _answer(Failing(raised))
    assert caught.value.retry_after_s == retry_after_s


async def test_an_error_that_ray_wrapped_keeps_its_message_and_shows_no_stack_trace() -> None:
    wrapped = RayTaskError("score", "Traceback: File /srv/x.py", PromptTooLong("word word", 77)).as_instanceof_cause()
    with pytest.raises(InvalidPrompt) as caught:
        await _answer(Failing(wrapped))
    assert caught.value.message.endswith("is too long: the model reads at most 77 tokens, shorten it.")
    assert "Traceback" not in caught.value.message


async def test_an_unavailable_deployment_is_said() -> None:
    class Gone(DeploymentUnavailableError):
        def __init__(self) -> None:
            """The real one wants an id that only Serve makes."""

    with pytest.raises(ModelUnavailable):
        await _answer(Failing(Gone()))


async def test_a_call_is_cancelled_with_its_caller() -> None:
    call = Failing(None)
    asked = asyncio.create_task(_answer(call))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert call.cancelled
