"""How a job calls the models of the running application: with many retries, because a job can wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from deployments.runtime.calls import CALL_ERRORS, JOBS, Call, CallPolicy, Failure, call, cause_of, failure_of
from deployments.wire.foreign import named
from jobs.runtime.errors import JobRefused

# After this many calls in a row without an answer, the application counts as gone.
GIVE_UP_AFTER = 20


class NoAnswer(Exception):
    """A model gave no answer. The message becomes part of a row's `error`."""


class ModelUnavailable(NoAnswer):
    """The model did not answer in any attempt; it may answer later."""


class Refused(NoAnswer):
    """The model refused the input; asking again would not help."""


class ModelCaller:
    """Calls models, and retries with growing pauses while they are being replaced or overloaded."""

    def __init__(
        self, policy: CallPolicy | None = None, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """`policy` is by default that of jobs."""
        self._policy, self._sleep, self._unanswered = policy or JOBS, sleep, 0

    async def ask(self, deployment: str, ask: Callable[[], Call[Any]]) -> Any:
        """Return the answer of a deployment; `ask` makes the call.

        Raises:
            Refused: the model refused the input.
            ModelUnavailable: the model did not answer in as many attempts as the policy has.
            JobRefused: too many calls in a row had no answer.
        """
        try:
            answer = await call(deployment, ask, self._policy, sleep=self._sleep)
        except CALL_ERRORS as error:
            reason = named(cause_of(error), 200)
            if failure_of(error) is Failure.REFUSED:
                self._unanswered = 0
                raise Refused(f"{deployment} cannot do this ({reason})") from error
            self._unanswered += 1
            if self._unanswered >= GIVE_UP_AFTER:
                raise JobRefused(
                    f"{deployment} does not answer any more ({reason}): complete results are kept. Check that the "
                    "application runs, and run the same command again."
                ) from error
            raise ModelUnavailable(
                f"{deployment} gave no answer in {self._policy.attempts} attempts ({reason})"
            ) from error
        self._unanswered = 0
        return answer
