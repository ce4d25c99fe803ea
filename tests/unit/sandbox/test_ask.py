"""Asking a process for one answer, in a thread: what it says is checked, and it never outlives the question."""

import signal
import time
from threading import Event, Timer
from typing import Any

import pytest

from deployments.pictures.budget import Abandoned, Budget
from deployments.sandbox import parent
from deployments.sandbox.parent import Crashed

LARGEST = 10


def ask(say: str, **job: Any) -> tuple[dict[str, Any], bytes]:
    message, payload = parent.ask("tests.unit.sandbox.answering", {"say": say, **job}, b"input", LARGEST, lambda: None)
    return message, bytes(payload)


def test_the_message_comes_with_its_payload() -> None:
    assert ask('{"kind": "x", "bytes": 5}\nREAD') == ({"kind": "x", "bytes": 5}, b"input")


def test_what_the_process_lacks_stands_before_its_message() -> None:
    assert ask('{"lacks": {}, "bytes": 0}\n{"bytes": 0}\n') == ({"bytes": 0}, b"")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{}",
        "{}\n",
        "[]\n",
        '{"bytes": 9}\n',
        '{"bytes": 1}\n22',
        '{"bytes": -1}\n',
        '{"bytes": "x"}\n',
        '{"bytes": 11}\n12345678901',
        "{" * 100_000 + "\n",
        "x" * 90_000,
    ],
)
def test_what_a_process_that_was_taken_over_says_is_not_trusted(said: str) -> None:
    with pytest.raises(Crashed, match="invalid message"):
        ask(said)


def test_a_process_that_dies_says_by_which_signal() -> None:
    with pytest.raises(Crashed, match="ended with SIGSEGV"):
        ask('{"bytes": 0}\n', signal=int(signal.SIGSEGV))


def test_nobody_waits_for_an_answer_that_nobody_needs() -> None:
    abandoned, started = Event(), time.monotonic()
    Timer(0.2, abandoned.set).start()
    with pytest.raises(Abandoned):
        parent.ask("tests.unit.sandbox.answering", {"say": "", "sleep_s": 60}, b"", LARGEST, Budget(1, abandoned).check)
    assert time.monotonic() - started < 30


def test_a_process_that_never_answers_is_ended() -> None:
    job = {"say": "", "sleep_s": 60}
    with pytest.raises(Crashed, match="did not end"):
        parent.ask("tests.unit.sandbox.answering", job, b"", LARGEST, lambda: None, longest_s=0.3)
