"""The ingress's calls of deployments: `deployments.runtime.calls` makes them, and their errors become ours here."""

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
    VideoBroken,
    VideoTooLong,
)
from serve_app.http import errors
from serve_app.http.metrics import retries_total

# What the call of a deployment raises for a reason that a client is told; anything else is our own mistake.
CALL_ERRORS = (BackPressureError, ModelError, DeploymentUnavailableError, RayActorError, ObjectLostError, AioRpcError)
# What the call of a deployment that does not answer raises, for those who can do without the answer.
NO_ANSWER = (TimeoutError, RayError, BackPressureError, DeploymentUnavailableError, AioRpcError)
# What a model says of its input, by what the client is told.
OUR_ERRORS: dict[type[ModelError], type[errors.PanoptesError]] = {
    PromptTooLong: errors.InvalidPrompt,
    LlmModelUnknown: errors.LlmUnknown,
    LlmAnswerInvalid: errors.LlmUnparsable,
    LlmKeyMissing: errors.LlmWithoutKey,
    VideoBroken: errors.InvalidVideo,
    NoFrames: errors.InvalidVideo,
    VideoTooLong: errors.VideoTooLarge,
}

Value = TypeVar("Value")


async def answer(deployment: str, ask: Callable[[], Call[Value]], policy: CallPolicy | None = None) -> Value:
    """The answer of a deployment. The deadline of the request bounds it.

    Args:
        deployment: its name in the Serve config.
        ask: makes the call, as for `calls.call`.
        policy: when it is made again; that of the ingress unless another is given.

    Raises:
        PanoptesError: as `ours` has it.
    """
    try:
        return await call(deployment, ask, policy or INGRESS, retrying=lambda: count_retry(deployment))
    except CALL_ERRORS as error:
        raise ours(error) from error


def count_retry(deployment: str) -> None:
    """A call of this deployment is made again."""
    retries_total().inc(tags={"called": deployment})


def ours(error: Exception) -> Exception:
    """What the client is told about an error of CALL_ERRORS; a mistake of the ingress is returned as it is."""
    if type(error) is AioRpcError and failure_of(error) is not Failure.ENDED:
        return error  # such as a message that is larger than gRPC takes
    cause = cause_of(error)
    if isinstance(cause, BackPressureError):
        return errors.Overloaded("Too many requests wait for this model: try again.", retry_after_s=1)
    if isinstance(cause, InvalidClustering):
        return errors.ValidationFailed(str(cause), detail=cause.problems)
    if isinstance(cause, LlmProviderFailed):
        return errors.LlmFailed(str(cause), retry_after_s=cause.retry_after_s)
    for theirs, known in OUR_ERRORS.items():
        if isinstance(cause, theirs):
            return known(f"{cause}.")
    return errors.ModelUnavailable("The model failed or is being replaced: try again.", retry_after_s=5)
