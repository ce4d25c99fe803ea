"""Calls of the running application's models by a job, which has time: what may pass is tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from deployments.runtime.calls import CALL_ERRORS, JOBS, Call, CallPolicy, Failure, call, cause_of, failure_of
from jobs.runtime.errors import JobRefused

# After so many answers in a row that never came, the application is taken for gone.
GIVE_UP_AFTER = 20


class NoAnswer(Exception):
    """A model gave no answer. The message is a part of a row's `error`."""


class ModelAway(NoAnswer):
    """It was not there, however often it was asked: another time it may be."""


class Refused(NoAnswer):
    """It answered that it cannot: it would again."""


class Asker:
    """Asks models, again with growing pauses while they are replaced or have no room."""

    def __init__(
        self, policy: CallPolicy | None = None, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """`policy`: that of jobs unless another is given."""
        self._policy, self._sleep, self._unanswered = policy or JOBS, sleep, 0

    async def ask(self, deployment: str, ask: Callable[[], Call[Any]]) -> Any:
        """The answer of a deployment; `ask` makes the call.

        Raises:
            Refused: the model cannot do this.
            ModelAway: it did not answer, however often the policy asks.
            JobRefused: nobody has answered for long.
        """
        try:
            answer = await call(deployment, ask, self._policy, sleep=self._sleep)
        except CALL_ERRORS as error:
            reason = _said(cause_of(error))
            if failure_of(error) is Failure.REFUSED:
                self._unanswered = 0
                raise Refused(f"{deployment} cannot do this ({reason})") from error
            self._unanswered += 1
            if self._unanswered >= GIVE_UP_AFTER:
                raise JobRefused(
                    f"{deployment} does not answer any more ({reason}): what is complete stays. See that the "
                    "application runs, and give the same command again."
                ) from error
            raise ModelAway(f"{deployment} gave no answer in {self._policy.attempts} attempts ({reason})") from error
        self._unanswered = 0
        return answer


def _said(reason: BaseException) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text[:200]}" if text else type(reason).__name__
