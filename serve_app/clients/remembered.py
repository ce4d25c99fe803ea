"""A question that many callers share: asked once at a time, with its last answer remembered."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Known(Generic[Value]):
    """What is known of a question.

    Attributes:
        value: its last answer; None if there was none yet.
        age_s: seconds since that answer; None if there was none yet.
        error: why there is no newer answer; None if `value` is as new as was asked for. TimeoutError if the question is
            still being asked.
    """

    value: Value | None
    age_s: float | None
    error: Exception | None


class Remembered(Generic[Value]):
    """A question and its last answer.

    However many callers wait, and however many of them give up, the question is asked by one task at a time. No caller
    cancels that task.
    """

    def __init__(self, ask: Callable[[], Awaitable[Value]], fresh_s: float = 0.0) -> None:
        """`ask` gets the answer, or raises; an answer up to `fresh_s` seconds old is not asked for again."""
        self._ask, self._fresh_s = ask, fresh_s
        self._value: Value | None = None
        self._at: float | None = None
        self._error: Exception | None = None
        self._asking: asyncio.Task[None] | None = None

    async def get(self, patience_s: float) -> Known[Value]:
        """What is known after waiting `patience_s` seconds at most. Raises nothing that `ask` raises."""
        if self._age_s is not None and self._age_s <= self._fresh_s:
            return Known(self._value, self._age_s, None)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_once())
        answered, _ = await asyncio.wait({self._asking}, timeout=patience_s)
        late = None if answered else TimeoutError(f"no answer after {patience_s:g} s")
        return Known(self._value, self._age_s, late or self._error)

    @property
    def _age_s(self) -> float | None:
        return None if self._at is None else time.monotonic() - self._at

    async def _ask_once(self) -> None:
        try:
            self._value = await self._ask()
        except Exception as error:  # whatever it is, the last answer is still the best that is known
            self._error = error
        else:
            self._at, self._error = time.monotonic(), None
