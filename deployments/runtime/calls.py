"""How a deployment's handle is called: with a deadline, and again where its replica ended or had no room.

The ingress, the catalogue's workers and the jobs all call through `call`; what they differ in is their `CallPolicy`.
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

# An argument goes into the message itself, which costs less than the object store, up to half of gRPC's limit (bytes).
LARGEST_VALUE = 2 * 1024 * 1024
# What a call raises when it comes to no answer. Anything else is a mistake of the caller's own code.
CALL_ERRORS = (
    RayError, BackPressureError, DeploymentUnavailableError, ModelError, AioRpcError, TimeoutError,
)  # fmt: skip

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


class Call(Protocol[Value_co]):
    """What a handle's `remote` gives."""

    def __await__(self) -> Generator[None, None, Value_co]: ...
    def cancel(self) -> None: ...


class Failure(Enum):
    """Why a call came to no answer."""

    ENDED = auto()  # the replica, or the node that kept its answer, ended
    BUSY = auto()  # there is no room, or no replica
    LATE = auto()  # no answer within the policy's time
    BROKEN = auto()  # the model or its device failed; Serve replaces the replica
    REFUSED = auto()  # the model answered that it cannot do this
    OTHER = auto()


# What may pass when somebody waits.
PASSING = frozenset({Failure.ENDED, Failure.BUSY, Failure.LATE, Failure.BROKEN, Failure.OTHER})


@dataclass(frozen=True)
class CallPolicy:
    """How a caller deals with calls that come to no answer.

    Attributes:
        attempts: calls at most.
        retried: the failures after which it calls again.
        timeout_s: time for one call; None where the caller's own deadline bounds it.
        pause_s: before the second call, on average; doubled before each further one.
        longest_pause_s: no pause is longer, on average.
    """

    attempts: int
    retried: frozenset[Failure]
    timeout_s: float | None
    pause_s: float
    longest_pause_s: float

    def pause_before(self, attempt: int) -> float:
        """Seconds before the call number `attempt` (from 1), spread so that many callers do not return as one."""
        pause: float = min(self.longest_pause_s, self.pause_s * 2.0 ** (attempt - 1))
        return pause * random.uniform(0.5, 1.5)


ENDED_ONLY = frozenset({Failure.ENDED})
# A request that makes every replica end which looks at it ends three of them and no more.
INGRESS = CallPolicy(attempts=3, retried=ENDED_ONLY, timeout_s=None, pause_s=0.2, longest_pause_s=0.2)
# For calls that cost money or must not be made twice.
INGRESS_ONCE = CallPolicy(attempts=1, retried=frozenset(), timeout_s=None, pause_s=0, longest_pause_s=0)
CATALOGUE = CallPolicy(attempts=3, retried=ENDED_ONLY, timeout_s=60, pause_s=0.2, longest_pause_s=2)
# A slow model's queue is part of the time; a replica that hangs is replaced long before.
JOBS = CallPolicy(attempts=6, retried=PASSING, timeout_s=600, pause_s=0.5, longest_pause_s=10)


async def call(
    deployment: str,
    ask: Callable[[], Call[Value]],
    policy: CallPolicy,
    *,
    retrying: Callable[[], None] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Value:
    """The answer of a deployment.

    Args:
        deployment: its name in the Serve config.
        ask: makes the call. It is made again, so what it asks for must be the same however often it is done.
        policy: when and how often it is made again.
        retrying: hears of every further call.
        sleep: waits for so many seconds.

    Raises:
        The last call's error, one of CALL_ERRORS, as it came; `failure_of` says what it means.
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
        await sleep(policy.pause_before(attempt))
    raise AssertionError("a policy has at least one attempt")


async def _within(made: Call[Value], timeout_s: float | None) -> Value:
    try:
        async with asyncio.timeout(timeout_s):
            return await made
    except (TimeoutError, asyncio.CancelledError):
        # A call that went by reference is not cancelled with its caller: the model would compute for nobody.
        made.cancel()
        raise


def cause_of(error: BaseException) -> BaseException:
    """What a model raised: Ray hands it over inside an error of its own, which prints a stack trace."""
    return getattr(error, "cause", None) or error


def failure_of(error: BaseException) -> Failure:
    """Why a call came to no answer, from what it raised."""
    # A replica that is stopped while it works cancels what came by value; the handle passes gRPC's own error on.
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
    """What several deployments are called with: a large array's place in the object store, a small one itself."""
    return ray.put(pixels) if pixels.nbytes > LARGEST_VALUE else pixels
