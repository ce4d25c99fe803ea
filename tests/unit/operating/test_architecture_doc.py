"""docs/architecture.md, docs/decisions/ and the README's tree: every path, command and symbol that they name exists."""

import re
from pathlib import Path

import pytest

from configs.project import PROJECT

DOCS = PROJECT / "docs"
ARCHITECTURE = DOCS / "architecture.md"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = [ARCHITECTURE, *DECISIONS]

ROOMS = "benchmarks|configs|deployments|docs|examples|jobs|serve_app|testbed|tests|training"
# A path below one of the rooms, in the text or in a diagram; `<name>` stands for any, `{a,b}` for both.
PATH = re.compile(rf"(?<![\w./-])(?:\.\./)*((?:{ROOMS})/[\w./<>*-]*(?:\{{[\w.,-]+\}}[\w./-]*)?)")
TOP = re.compile(r"`([\w.-]+\.(?:yaml|toml|md|lock)|Makefile|Dockerfile)`")
COMMAND = re.compile(r"python -m ([a-z_]+(?:\.[a-z_]+)*)")
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")
# An answer that names what is in a file: `path/file.py` (`Name`).
SYMBOL = re.compile(r"`([\w./]+\.py)` \(`(\w+)`\)")
QUESTIONS = 20  # at least


def expanded(path: str) -> list[str]:
    """The paths that one with braces stands for, as glob patterns."""
    path = re.sub(r"<\w+>", "*", path).rstrip(".")
    braces = re.search(r"\{(.*?)\}", path)
    return [path.replace(braces[0], one) for one in braces[1].split(",")] if braces else [path]


def missing(paths: list[str]) -> list[str]:
    return sorted({one for path in paths for one in expanded(path) if not list(PROJECT.glob(one.rstrip("/")))})


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_exists(page: Path) -> None:
    paths = [*PATH.findall(read(page)), *TOP.findall(read(page))]
    assert missing(paths) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = [link for link, _ in LINK.findall(read(page)) if "://" not in link]
    assert links or page.parent.name == "decisions"
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_is_a_module(page: Path) -> None:
    modules = [PROJECT.joinpath(*name.split(".")) for name in COMMAND.findall(read(page))]
    assert [
        module for module in modules if not (module.with_suffix(".py").is_file() or (module / "__main__.py").is_file())
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_symbol_is_in_its_file(page: Path) -> None:
    named = SYMBOL.findall(read(page))
    defined = re.compile(r"^\s*(?:async def|def|class) (\w+)|^(\w+)(?::.*)? = ", re.MULTILINE)
    absent = [
        (path, symbol)
        for path, symbol in named
        if symbol not in {name for pair in defined.findall(read(PROJECT / path)) for name in pair}
    ]
    assert absent == []


def test_a_path_that_is_not_there_is_found() -> None:
    text = "see `deployments/nowhere/<name>.py`, [this](../../configs/absent.yaml) and jobs/{koop,gone}/day.py, /docs/x"
    assert missing(PATH.findall(text)) == ["configs/absent.yaml", "deployments/nowhere/*.py", "jobs/gone/day.py"]


def test_twenty_questions_are_answered_each_by_a_path() -> None:
    table = read(ARCHITECTURE).partition("## Where is …?")[2]
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", table, re.MULTILINE)
    assert len({question for question, _ in rows}) == len(rows) >= QUESTIONS
    assert [question for question, answer in rows if not PATH.findall(answer)] == []


def test_there_are_diagrams_of_the_processes_and_of_three_walks() -> None:
    kinds = re.findall(r"```mermaid\n(\w+)", read(ARCHITECTURE))
    assert kinds == ["flowchart", "sequenceDiagram", "sequenceDiagram", "sequenceDiagram"]


def test_every_decision_is_in_the_index_and_has_its_parts() -> None:
    index = DOCS / "decisions" / "README.md"
    pages = [page for page in DECISIONS if page != index]
    assert {link for link, _ in LINK.findall(read(index)) if "/" not in link} == {page.name for page in pages}
    for page in pages:
        text = read(page)
        assert re.findall(r"^#+ (.+)$", text, re.MULTILINE)[1:] == [
            "Context",
            "Measured",
            "Alternatives",
            "Consequences",
        ], page.name
        assert text.count("**Decision.**") == text.count("**Look at it again**") == 1, page.name


def test_every_folder_of_the_readmes_tree_exists() -> None:
    tree = re.search(r"^```\n(configs/.*?)^```$", read(PROJECT / "README.md"), re.DOTALL | re.MULTILINE)
    assert tree, "the README lost its tree"
    folders, above = [], ""
    for line in tree[1].splitlines():
        names = re.match(r"( *)((?:[\w<>]+/ *)+)", line)
        if names is None:
            continue
        above = above if names[1] else names[2].split()[0]
        folders += [f"{above if names[1] else ''}{name}" for name in names[2].split()]
    assert len(folders) >= 10
    assert missing(folders) == []
