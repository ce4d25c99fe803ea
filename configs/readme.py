"""The tables of README.md that `make docs` writes. A test checks that the committed ones are up to date."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from configs.settings import SettingsError, settings_from, variables
from configs.settings.example import written


def settings_table() -> list[str]:
    """Every setting with its default and its meaning."""
    defaults = settings_from({}).flat()
    rows = [(f"`{one.name}`", _shown(defaults[one.name]), str(one.info.description)) for one in variables()]
    return table(("variable", "default", "meaning"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [_line(head), "|" + "---|" * len(head), *map(_line, rows)]


def replace_table(file: Path, name: str, lines: Sequence[str]) -> None:
    """Replace the text between `<!-- NAME -->` and `<!-- /NAME -->`.

    Raises:
        SettingsError: the file does not have exactly one such place.
    """
    text = file.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->\n)", re.DOTALL)
    if len(place.findall(text)) != 1:
        raise SettingsError(f"{file} must have one place between <!-- {name} --> and <!-- /{name} -->")
    body = "\n".join(lines)
    file.write_text(place.sub(lambda found: f"{found[1]}\n{body}\n\n{found[2]}", text), encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(value: object) -> str:
    text = written(value)
    return f"`{text}`" if text else ""
