"""The minutes of a training: drawing takes what it needs, learning gets the rest, and never too little of it."""

import pytest

from training.budget import Budget


@pytest.mark.parametrize(("drawing_s", "left_s"), [(30.0, 90.0), (80.0, 48.0), (500.0, 48.0)])
def test_learning_gets_what_drawing_leaves_and_at_least_two_fifths(
    drawing_s: float, left_s: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("training.budget.time.monotonic", lambda: now)
    two_minutes = Budget(2)
    now += drawing_s
    two_minutes.report("7 scenes drawn")
    assert capsys.readouterr().out == f"{drawing_s:5.0f} s  7 scenes drawn\n"
    assert two_minutes.left() == left_s
