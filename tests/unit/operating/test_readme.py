"""The README lists exactly what exists."""

import re
from collections.abc import Callable

import pytest

from configs.project import PROJECT
from configs.readme import settings_table
from configs.registry import read_entry
from configs.settings import variables
from deployments.__main__ import deployments_table
from deployments.models.clip.settings import ClipEntry
from serve_app.http.errors import PanoptesError
from tests.unit.serving.api import client

README = (PROJECT / "README.md").read_text()


async def test_every_route_is_in_the_table_and_no_other() -> None:
    async with client() as api:
        paths = (await api.get("/openapi.json")).json()["paths"]
    actual = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)` \|", README, re.MULTILINE)) == actual


@pytest.mark.parametrize(("name", "lines"), [("settings", settings_table), ("deployments", deployments_table)])
def test_a_written_table_is_what_make_docs_writes(name: str, lines: Callable[[], list[str]]) -> None:
    written = README.partition(f"<!-- {name} -->\n\n")[2].partition(f"\n\n<!-- /{name} -->")[0]
    assert written.splitlines() == lines()


def test_every_setting_has_its_row() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (?:`[^`]*`)? *\| \S.* \|$", README, re.MULTILINE)
    assert rows == [one.name for one in variables()]


def test_every_error_code_is_named() -> None:
    classes: list[type[PanoptesError]] = [PanoptesError]
    for known in classes:
        classes.extend(known.__subclasses__())
    missing = {known.code for known in classes if f"`{known.code}`" not in README}
    assert not missing


def test_every_metric_is_named() -> None:
    sources = [*(PROJECT / "serve_app").rglob("*.py"), *(PROJECT / "deployments").rglob("*.py")]
    defined = {name for source in sources for name in re.findall(r'"(panoptes_[a-z_]+)"', source.read_text())}
    assert defined == set(re.findall(r"`ray_(panoptes_[a-z_]+)`", README))
    assert len(defined) >= 6


def test_every_checkpoint_is_named() -> None:
    assert [name for name in read_entry("clip", ClipEntry).checkpoints if f"`{name}`" not in README] == []


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE)) <= targets


def test_every_file_of_the_readme_exists() -> None:
    files = re.findall(r"\]\(([\w./]+)\)", README) + re.findall(r"@(examples/[\w.]+)", README)
    assert [file for file in files if not (PROJECT / file).exists()] == []
