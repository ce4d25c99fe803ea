"""What a deployment raises becomes an answer that says what to do."""

import pytest
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.errors import ModelFailed, PromptTooLong
from serve_app.errors import InvalidPrompt, ModelUnavailable, Overloaded, PanoptesError
from serve_app.handles import _answer


async def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("raised", "answered", "retry_after_s"),
    [
        (BackPressureError(num_queued_requests=9, max_queued_requests=9), Overloaded, 1),
        (RayActorError(), ModelUnavailable, 5),
        (ModelFailed("out of memory"), ModelUnavailable, 5),
        (PromptTooLong("word " * 80, 82, 77), InvalidPrompt, None),
    ],
)
async def test_errors_of_a_model_become_ours(
    raised: Exception, answered: type[PanoptesError], retry_after_s: int | None
) -> None:
    with pytest.raises(answered) as caught:
        await _answer(failing(raised))
    assert caught.value.retry_after_s == retry_after_s


async def test_an_error_that_ray_wrapped_keeps_its_message_and_shows_no_stack_trace() -> None:
    wrapped = RayTaskError(
        "score", "Traceback: File /srv/x.py", PromptTooLong("word " * 80, 82, 77)
    ).as_instanceof_cause()
    with pytest.raises(InvalidPrompt) as caught:
        await _answer(failing(wrapped))
    assert caught.value.message.endswith("has 82 tokens; the model reads at most 77: shorten it.")
    assert "Traceback" not in caught.value.message


async def test_an_unavailable_deployment_is_said() -> None:
    class Gone(DeploymentUnavailableError):
        def __init__(self) -> None:
            """The real one wants an id that only Serve makes."""

    with pytest.raises(ModelUnavailable):
        await _answer(failing(Gone()))
