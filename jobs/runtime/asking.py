"""How a job calls the models of the running application: with many retries, because a job can wait."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeVar

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.runtime.errors import ModelError, ModelFailed
from jobs.runtime.errors import JobRefused

ATTEMPTS = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
# Includes the wait in a slow model's queue. A replica that hangs is replaced long before this.
CALL_TIMEOUT_S = 600.0
# After this many calls in a row without an answer, the application counts as gone.
GIVE_UP_AFTER = 20

Value = TypeVar("Value")


class NoAnswer(Exception):
    """A model gave no answer. The message becomes part of a row's `error`."""


class ModelAway(NoAnswer):
    """The model did not answer in any attempt; it may answer later."""


class Refused(NoAnswer):
    """The model refused the input; asking again would not help."""


class Call(Protocol):
    """What a handle's `remote` returns."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    def cancel(self) -> Any: ...


class Asker:
    """Calls models, and retries with growing pauses while they are being replaced or overloaded."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep, self._unanswered = sleep, 0

    async def ask(self, deployment: str, call: Callable[[], Call]) -> Any:
        """Make the call and return its answer.

        Raises:
            Refused: the model refused the input.
            ModelAway: the model did not answer in six attempts.
            JobRefused: too many calls in a row had no answer.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
                await self._sleep(pause * random.uniform(0.5, 1.5))
            try:
                answer = await _within_time(call())
            except (RayError, BackPressureError, DeploymentUnavailableError, ModelError, TimeoutError) as error:
                reason = getattr(error, "cause", None) or error
                if _is_final(error, reason):
                    self._unanswered = 0
                    raise Refused(f"{deployment} cannot do this ({_said(reason)})") from error
            else:
                self._unanswered = 0
                return answer
        self._unanswered += 1
        if self._unanswered >= GIVE_UP_AFTER:
            raise JobRefused(
                f"{deployment} does not answer any more ({_said(reason)}): complete results are kept. Check that the "
                "application runs, and run the same command again."
            )
        raise ModelAway(f"{deployment} gave no answer in {ATTEMPTS} attempts ({_said(reason)})")


async def _within_time(call: Call) -> Any:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await call
    except (TimeoutError, asyncio.CancelledError):
        call.cancel()  # otherwise the model would compute an answer that nobody reads
        raise


def _is_final(error: Exception, reason: object) -> bool:
    """Whether the model refused the input. A replica that failed is replaced, and the new one may answer."""
    return isinstance(error, RayTaskError | ModelError) and not isinstance(
        reason, ModelFailed | BackPressureError | DeploymentUnavailableError
    )


def _said(reason: object) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text[:200]}" if text else type(reason).__name__
