"""The ingress's calls of deployments, made by `deployments.runtime.calls`, with their errors translated into ours."""

from collections.abc import Callable
from typing import TypeVar

from grpc.aio import AioRpcError
from ray.exceptions import ObjectLostError, RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.runtime.calls import INGRESS, Call, CallPolicy, Failure, call, cause_of, failure_of
from deployments.runtime.errors import (
    InvalidClustering,
    LlmAnswerInvalid,
    LlmKeyMissing,
    LlmModelUnknown,
    LlmProviderFailed,
    ModelError,
    NoFrames,
    PromptTooLong,
    ReaderFailed,
    VideoBroken,
    VideoTooLarge,
    VideoTooLong,
)
from serve_app.http import errors
from serve_app.http.metrics import retries_total

# The errors of a call that are reported to the client; any other error is a bug of ours.
CALL_ERRORS = (BackPressureError, ModelError, DeploymentUnavailableError, RayActorError, ObjectLostError, AioRpcError)
# The errors of a call that got no answer, for callers that can do without the answer.
NO_ANSWER = (TimeoutError, RayError, BackPressureError, DeploymentUnavailableError, AioRpcError)
# The models' errors about their input, each with the error that the client gets.
OUR_ERRORS: dict[type[ModelError], type[errors.PanoptesError]] = {
    PromptTooLong: errors.InvalidPrompt,
    LlmModelUnknown: errors.LlmUnknown,
    LlmAnswerInvalid: errors.LlmUnparsable,
    LlmKeyMissing: errors.LlmWithoutKey,
    VideoBroken: errors.InvalidVideo,
    NoFrames: errors.InvalidVideo,
    VideoTooLong: errors.VideoTooLarge,
    VideoTooLarge: errors.VideoTooLarge,
}

Value = TypeVar("Value")


async def answer(deployment: str, ask: Callable[[], Call[Value]], policy: CallPolicy | None = None) -> Value:
    """Call a deployment and return its answer, within the request's deadline.

    Args:
        deployment: its name in the Serve config.
        ask: makes the call, as for `calls.call`.
        policy: when the call is made again; None for INGRESS.

    Raises:
        PanoptesError: translated by `ours`.
    """
    try:
        return await call(deployment, ask, policy or INGRESS, retrying=lambda: count_retry(deployment))
    except CALL_ERRORS as error:
        raise ours(error) from error


def count_retry(deployment: str) -> None:
    """Count a retry of a call of this deployment."""
    retries_total().inc(tags={"called": deployment})


def ours(error: Exception) -> Exception:
    """Translate an error of CALL_ERRORS for the client; a bug of ours is returned unchanged."""
    cause = cause_of(error)
    large = type(error) is AioRpcError and failure_of(error) is not Failure.ENDED  # a message above gRPC's limit
    if large or isinstance(cause, ReaderFailed):
        return error
    if isinstance(cause, BackPressureError):
        return errors.Overloaded("Too many requests wait for this model: try again.", retry_after_s=1)
    if isinstance(cause, InvalidClustering):
        problems = errors.shown_problems(cause.problems)
        return errors.ValidationFailed(problems[0]["msg"], detail=problems)
    if isinstance(cause, LlmProviderFailed):
        return errors.LlmFailed(str(cause), retry_after_s=cause.retry_after_s)
    for theirs, known in OUR_ERRORS.items():
        if isinstance(cause, theirs):
            return known(f"{cause}.")
    return errors.ModelUnavailable("The model failed or is being replaced: try again.", retry_after_s=5)
