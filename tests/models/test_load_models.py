"""`python -m jobs.load_models`: loads the models that are switched on, and names a checkpoint that is unavailable."""

import subprocess
import sys
from pathlib import Path

import pytest

from configs.project import PROJECT
from configs.settings import loading
from deployments.specs import all_specs
from jobs import load_models


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "ENV_FILE", tmp_path / ".env")
    for name in ("HF_HOME", "TORCH_HOME", "DEEPFACE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for spec in all_specs().values():
        monkeypatch.setenv(spec.switch, "false")


def command() -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, whose libraries read their variables when they are imported."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.load_models"], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def test_what_is_switched_on_is_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEIGHTS", "bundled")
    for name in ("clip", "tagger", "captioner", "detector", "quality"):
        monkeypatch.setenv(f"{name}_enabled".upper(), "true")
    assert load_models.run() == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name} is loaded" for name in ("quality", "clip", "captioner", "tagger", "detector")
    ]


def test_emotion_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS", "bundled")
    monkeypatch.setenv("EMOTION_ENABLED", "true")
    done = command()
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("emotion is loaded\n")  # DeepFace says more before


def test_an_unavailable_checkpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTS", "hub")
    monkeypatch.setenv("TAGGER_ENABLED", "true")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = command()
    assert done.returncode == 1
    assert "tagger: " in done.stderr
    assert "facebook/levit-384" in done.stderr
    assert done.stdout == ""


def test_impossible_settings_are_refused_before_anything_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_THREADS", "-1")
    done = command()
    assert done.returncode == 2
    assert "CLIP_THREADS" in done.stderr
    assert "Traceback" not in done.stderr
