"""A call of a deployment: asked again where a replica ended, and what it raises told as our errors."""

import asyncio
import logging
import random
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

from grpc import StatusCode
from grpc.aio import AioRpcError
from ray.exceptions import ObjectLostError, RayActorError, RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

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

logger = logging.getLogger("ray.serve.panoptes.requests")

# A request that makes every replica end which looks at it ends three of them and no more.
RETRIES = 2
PAUSE_S = 0.2
# What the call of a deployment raises when it does not come to an answer.
CALL_ERRORS = (BackPressureError, ModelError, DeploymentUnavailableError, RayActorError, ObjectLostError, AioRpcError)
# What a call raises of a deployment that does not answer, for those who can do without it.
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
Value_co = TypeVar("Value_co", covariant=True)


class Call(Protocol[Value_co]):
    """What a handle's `remote` gives."""

    def __await__(self) -> Generator[None, None, Value_co]: ...
    def cancel(self) -> None: ...


async def answer(deployment: str, ask: Callable[[], Call[Value]], retries: int = RETRIES) -> Value:
    """The answer of a deployment, of another replica where one ended before it answered.

    The handle waits for a replica where none is left; the deadline of the request bounds it all.

    Args:
        deployment: its name in the Serve config.
        ask: makes the call. It is made again, so what it asks for must be the same however often it is done.
        retries: how often it is made again; 0 where each call costs.

    Raises:
        PanoptesError: as `ours` has it.
    """
    while True:
        call = ask()
        try:
            return await call
        except asyncio.CancelledError:
            # A call that went by reference is not cancelled with its caller: the model would compute for nobody.
            call.cancel()
            raise
        except CALL_ERRORS as error:
            if not (retries and has_ended(error)):
                raise ours(error) from error
        retries -= 1
        await pause(deployment)


def has_ended(error: Exception) -> bool:
    """Whether the replica of a call, or the node that kept its answer, ended."""
    # A replica that is stopped while it works cancels what came by value; the handle passes gRPC's own error on.
    cancelled = isinstance(error, AioRpcError) and error.code() is StatusCode.CANCELLED
    return cancelled or isinstance(error, RayActorError | ObjectLostError)


async def pause(deployment: str) -> None:
    """Before a call is made again: Serve may not know yet which replica has ended."""
    logger.warning("A replica of %s ended before it answered: another one is asked", deployment)
    retries_total().inc(tags={"called": deployment})
    await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))


def ours(error: Exception) -> Exception:
    """What the client is told about an error of CALL_ERRORS; a mistake of the ingress is returned as it is."""
    if type(error) is AioRpcError and not has_ended(error):
        return error  # such as a message that is larger than gRPC takes
    # Ray hands a model's error over inside its own, which prints a stack trace.
    error = getattr(error, "cause", error)
    if isinstance(error, BackPressureError):
        return errors.Overloaded("Too many requests wait for this model: try again.", retry_after_s=1)
    if isinstance(error, InvalidClustering):
        return errors.ValidationFailed(str(error), detail=error.problems)
    if isinstance(error, LlmProviderFailed):
        return errors.LlmFailed(str(error), retry_after_s=error.retry_after_s)
    for theirs, known in OUR_ERRORS.items():
        if isinstance(error, theirs):
            return known(f"{error}.")
    return errors.ModelUnavailable("The model failed or is being replaced: try again.", retry_after_s=5)
