"""Before a commit git runs what `make check` runs, on the whole project."""

import re
from typing import Any

import yaml

from configs.project import PROJECT

CONFIG = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
HOOKS: list[dict[str, Any]] = [hook for repository in CONFIG["repos"] for hook in repository["hooks"]]


def recipe(target: str) -> list[str]:
    """The commands of a target in the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert found
    return [line.removeprefix("\t@").replace("$(BIN)", ".venv/bin") for line in found[1].splitlines()]


def test_the_hooks_are_the_checks() -> None:
    assert [hook["entry"] for hook in HOOKS] == recipe("check")


def test_they_look_at_the_whole_project_and_fetch_nothing() -> None:
    assert {repository["repo"] for repository in CONFIG["repos"]} == {"local"}
    assert {(hook["language"], hook["pass_filenames"]) for hook in HOOKS} == {("system", False)}
