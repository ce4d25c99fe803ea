"""Calls of deployment handles, with a deadline and with retries.

The ingress, the catalogue's workers and the jobs all use `call`, each with its own `CallPolicy`.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

import ray
from grpc import StatusCode
from grpc.aio import AioRpcError
from ray.exceptions import ObjectLostError, RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelError, ModelFailed

logger = logging.getLogger("ray.serve.panoptes.calls")

# In bytes, half of gRPC's limit. An argument up to this size travels in the message, cheaper than by the object store.
LARGEST_VALUE = 2 * 1024 * 1024
# The errors of a call that got no answer. Any other error is a bug in the calling code.
CALL_ERRORS = (
    RayError, BackPressureError, DeploymentUnavailableError, ModelError, AioRpcError, TimeoutError,
)  # fmt: skip

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


class Call(Protocol[Value_co]):
    """The response that a handle's `remote` returns."""

    def __await__(self) -> Generator[None, None, Value_co]: ...
    def cancel(self) -> None: ...


class Failure(Enum):
    """Why a call got no answer."""

    ENDED = auto()  # the replica ended, also because its device broke, or the node that kept its answer did
    BUSY = auto()  # every queue is full, or there is no replica
    LATE = auto()  # no answer within the policy's time
    BROKEN = auto()  # the model failed on this input, and it works on its test input
    REFUSED = auto()  # the model answered that it cannot do this
    OTHER = auto()


# The failures after which a later call may succeed.
PASSING = frozenset({Failure.ENDED, Failure.BUSY, Failure.LATE, Failure.BROKEN, Failure.OTHER})


@dataclass(frozen=True)
class CallPolicy:
    """When and how often a call that got no answer is made again.

    Attributes:
        attempts: most calls, the first one included.
        retried: the failures after which the call is made again.
        timeout_s: of one call; None where the caller has its own deadline.
        pause_s: average pause before the second call; doubled before each further call.
        longest_pause_s: largest average pause.
    """

    attempts: int
    retried: frozenset[Failure]
    timeout_s: float | None
    pause_s: float
    longest_pause_s: float

    def pause_after(self, attempt: int) -> float:
        """Seconds to wait after the failed call number `attempt` (from 1), randomised so that callers spread out."""
        pause: float = min(self.longest_pause_s, self.pause_s * 2.0 ** (attempt - 1))
        return pause * random.uniform(0.5, 1.5)


ENDED_ONLY = frozenset({Failure.ENDED})
# A request that crashes every replica it reaches crashes three of them at most.
INGRESS = CallPolicy(attempts=3, retried=ENDED_ONLY, timeout_s=None, pause_s=0.2, longest_pause_s=0.2)
# For calls that cost money or must not be made twice.
INGRESS_ONCE = CallPolicy(attempts=1, retried=frozenset(), timeout_s=None, pause_s=0, longest_pause_s=0)
CATALOGUE = CallPolicy(attempts=3, retried=ENDED_ONLY, timeout_s=60, pause_s=0.2, longest_pause_s=2)
# The timeout includes the wait in a slow model's queue; a replica that hangs is replaced long before it is over.
JOBS = CallPolicy(attempts=6, retried=PASSING, timeout_s=600, pause_s=0.5, longest_pause_s=10)


async def call(
    deployment: str,
    ask: Callable[[], Call[Value]],
    policy: CallPolicy,
    *,
    retrying: Callable[[], None] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Value:
    """Call a deployment and return its answer.

    Args:
        deployment: its name in the Serve config.
        ask: makes the call. It may be made several times, so it must be idempotent if the policy retries.
        policy: when and how often the call is made again.
        retrying: called before every retry.
        sleep: waits for the given seconds.

    Raises:
        The last call's error, one of CALL_ERRORS, unchanged; `failure_of` classifies it.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            return await _within(ask(), policy.timeout_s)
        except CALL_ERRORS as error:
            if attempt == policy.attempts or failure_of(error) not in policy.retried:
                raise
            logger.warning("%s is called again after: %s", deployment, failure_of(error).name)
        if retrying is not None:
            retrying()
        await sleep(policy.pause_after(attempt))
    raise AssertionError("a policy has at least one attempt")


async def _within(made: Call[Value], timeout_s: float | None) -> Value:
    try:
        async with asyncio.timeout(timeout_s):
            return await made
    except (TimeoutError, asyncio.CancelledError):
        # A call by reference is not cancelled with its caller: the model would compute an answer that nobody reads.
        made.cancel()
        raise


def cause_of(error: BaseException) -> BaseException:
    """The error that a model raised. Ray wraps it in an error of its own, whose text contains a stack trace."""
    return getattr(error, "cause", None) or error


def failure_of(error: BaseException) -> Failure:
    """Why a call got no answer, from the error that it raised."""
    # A replica that is stopped while it works cancels its calls by value; the handle then raises gRPC's own error.
    stopped = isinstance(error, AioRpcError) and error.code() is StatusCode.CANCELLED
    cause = cause_of(error)
    if stopped or isinstance(error, RayActorError | ObjectLostError):
        return Failure.ENDED
    if isinstance(cause, BackPressureError | DeploymentUnavailableError):
        return Failure.BUSY
    if isinstance(error, TimeoutError):
        return Failure.LATE
    if isinstance(cause, ModelFailed):
        return Failure.BROKEN
    return Failure.REFUSED if isinstance(error, RayTaskError | ModelError) else Failure.OTHER


def in_object_store(pixels: Pixels) -> Any:
    """The argument for calls of several deployments: the reference of a large array that is put into the object store,
    or a small array itself.
    """
    return ray.put(pixels) if pixels.nbytes > LARGEST_VALUE else pixels
