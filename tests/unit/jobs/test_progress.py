"""A job's progress, in a log and in a terminal."""

import io

import pytest

from jobs.runtime.progress import LINE_EVERY_S, Progress
from testbed.doubles.clock import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")


def test_a_log_gets_a_line_now_and_then() -> None:
    clock, log = Clock(), io.StringIO()
    with Progress(("days", "images"), 365, rate="images", stream=log, clock=clock) as progress:
        for _ in range(73):
            clock.now += 1
            progress.advance(days=1, images=20)
        progress.note("2023-03-04 [red]failed[/red]: it is tried again")
    lines = log.getvalue().splitlines()
    assert lines[0] == "15/365 days · 300 images · 20.0 images/s · 0:00:15 so far, about 0:05:50 left"
    assert len(lines) == 73 // LINE_EVERY_S + 2
    assert lines[-2] == "2023-03-04 [red]failed[/red]: it is tried again"
    assert lines[-1] == "73/365 days · 1,460 images · 20.0 images/s · 0:01:13 so far, about 0:04:52 left"
    assert not any("\x1b" in line for line in lines)


def test_a_long_line_stays_one() -> None:
    log = io.StringIO()
    with Progress(("images",), 1, stream=log) as progress:
        progress.note("x" * 500)
    assert log.getvalue().splitlines()[0] == "x" * 500


def test_what_was_done_before_is_no_speed() -> None:
    clock, log = Clock(), io.StringIO()
    with Progress(("images",), 100, stream=log, clock=clock) as progress:
        progress.skip(images=80)
        clock.now += 20
        progress.advance(images=10)
    assert log.getvalue() == "90/100 images · 0.5 images/s · 0:00:20 so far, about 0:00:20 left\n" * 2


def test_a_bar_that_goes_on() -> None:
    terminal = Terminal()
    with Progress(("images",), 100, stream=terminal, clock=Clock()) as progress:
        progress.skip(images=80)
    assert "80 %" in terminal.getvalue()


def test_nothing_to_do() -> None:
    log = io.StringIO()
    with Progress(("images",), 0, stream=log, clock=Clock()):
        pass
    assert log.getvalue() == "0/0 images · 0.0 images/s · 0:00:00 so far\n"


def test_a_terminal_gets_a_bar() -> None:
    clock, terminal = Clock(), Terminal()
    with Progress(("days", "kept"), 4, stream=terminal, clock=clock) as progress:
        clock.now += 2
        progress.advance(days=3, kept=7)
        progress.note("a note above the bar")
    shown = terminal.getvalue()
    assert "3/4 days · 7 kept · 1.5 days/s" in shown
    assert "75 %" in shown
    assert "━" in shown
    assert "a note above the bar" in shown


def test_a_terminal_that_knows_nothing_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    with Progress(("days",), 1, stream=terminal, clock=Clock()):
        pass
    assert terminal.getvalue().startswith("0/1 days")


def test_an_unknown_counter_is_a_mistake() -> None:
    with Progress(("days",), 1, stream=io.StringIO()) as progress, pytest.raises(KeyError):
        progress.advance(nights=1)
