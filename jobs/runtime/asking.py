"""Calls of the running application's models by a job, which has time: what may pass is tried again."""

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
# A slow model's queue is in it; a replica that hangs is replaced long before.
CALL_TIMEOUT_S = 600.0
# After so many answers in a row that never came, the application is taken for gone.
GIVE_UP_AFTER = 20

Value = TypeVar("Value")


class NoAnswer(Exception):
    """A model gave no answer. The message is a part of a row's `error`."""


class ModelAway(NoAnswer):
    """It was not there, however often it was asked: another time it may be."""


class Refused(NoAnswer):
    """It answered that it cannot: it would again."""


class Call(Protocol):
    """What a handle's `remote` gives."""

    def __await__(self) -> Generator[Any, Any, Any]: ...
    def cancel(self) -> Any: ...


class Asker:
    """Asks models, again with growing pauses while they are replaced or have no room."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._sleep, self._unanswered = sleep, 0

    async def ask(self, deployment: str, call: Callable[[], Call]) -> Any:
        """The answer of a call.

        Raises:
            Refused: the model cannot do this.
            ModelAway: it did not answer six times.
            JobRefused: nobody has answered for long.
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
                f"{deployment} does not answer any more ({_said(reason)}): what is complete stays. See that the "
                "application runs, and give the same command again."
            )
        raise ModelAway(f"{deployment} gave no answer in {ATTEMPTS} attempts ({_said(reason)})")


async def _within_time(call: Call) -> Any:
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            return await call
    except (TimeoutError, asyncio.CancelledError):
        call.cancel()  # its model would compute for nobody
        raise


def _is_final(error: Exception, reason: object) -> bool:
    """Whether the model itself refused; one that broke is replaced, and may do it then."""
    return isinstance(error, RayTaskError | ModelError) and not isinstance(
        reason, ModelFailed | BackPressureError | DeploymentUnavailableError
    )


def _said(reason: object) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text[:200]}" if text else type(reason).__name__
