"""Fixtures of the analysis tests."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployments.runtime.calls import JOBS
from jobs.runtime import asking
from tests.unit.analyze.run import picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures in folders, one of them broken, and files that are not pictures."""
    folder = tmp_path / "photos"
    for number in range(12):
        path = folder / f"album {number % 3}" / f"{number:02d}.{('png', 'BMP', 'jpg')[number % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture" if number == 5 else picture(number))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(picture(0))
    return folder


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "JOBS", replace(JOBS, pause_s=0.0))
