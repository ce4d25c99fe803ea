"""The categories of a request, from a .json or .csv file."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from deployments.wire.json_text import InvalidJson, JsonTooLarge, parse_json
from serve_app.http.errors import InvalidPrompt, InvalidRequest, TooLarge

MOST_BYTES = 8 << 20  # of a file; MAX_CATEGORIES may be 10,000
MOST_CELLS = 200_000

_DIRECTIVE = re.compile(r'"?sep=([,;|\t])"?(?:\r\n|\r|\n)', re.IGNORECASE)  # the first line of some files for Excel
_QUOTED = re.compile(r'(?:(?<=[,;\t\r\n ])|\A)"(?:[^"]|"")*+"')


def parse_categories(name: str, extension: str, data: bytes) -> list[str]:
    """The categories in a file, in order: trimmed, without empty ones and without duplicates.

    Args:
        name: the file's name, for the error messages.
        extension: `json` (`{"categories": […]}` or a plain list of texts) or `csv`, of which every cell is one.
        data: the file's bytes, UTF-8 with or without a byte order mark.

    Raises:
        InvalidRequest: the file is not UTF-8, cannot be parsed, does not have this shape, or holds no category.
        TooLarge: it has too many values.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(f"Invalid encoding in file {name}, valid encodings are UTF-8 and US-ASCII") from None
    items = _from_json(name, data) if extension == "json" else _from_csv(name, text)
    categories = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    if not categories:
        raise InvalidRequest(f"No category found in file {name}, please give at least one")
    return categories


@contextmanager
def category_lengths() -> Iterator[None]:
    """Translate InvalidPrompt to the message that clients of the categorizer expect for a category that is too long."""
    try:
        yield
    except InvalidPrompt as error:
        raise InvalidPrompt(
            "One of your categories is too long, maximum number of characters per category is 77"
        ) from error


def _from_json(name: str, data: bytes) -> list[str]:
    broken = InvalidRequest(f"Invalid json file, please check the syntax of {name}")
    try:
        value = parse_json(bytearray(data))
    except InvalidJson:
        raise broken from None
    except JsonTooLarge as error:
        raise TooLarge(str(error)) from None
    items = value.get("categories") if isinstance(value, dict) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise broken
    return items


def _from_csv(name: str, text: str) -> list[str]:
    directive = _DIRECTIVE.match(text)
    delimiter = directive[1] if directive else _delimiter(text)
    if text.count(delimiter) + text.count("\n") + text.count("\r") > MOST_CELLS:
        raise TooLarge(f"The file {name} has more than {MOST_CELLS:,} cells: send fewer categories.")
    lines = io.StringIO(text[directive.end() :] if directive else text, newline="")
    try:
        return [cell for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) for cell in row]
    except csv.Error:
        raise InvalidRequest(f"Invalid csv file, please check the syntax of {name}") from None


def _delimiter(text: str) -> str:
    """What separates the cells of a CSV file: commas, semicolons or tabs.

    Within a cell a comma or semicolon is usually followed by a blank, and between cells it is not. Where no blank
    tells, the more frequent one separates. Other than commas must separate in every line, or without blanks.
    """
    plain = _QUOTED.sub("x", text)
    lines = [line for line in plain.splitlines() if line.strip()]

    def weight(delimiter: str) -> tuple[int, int]:
        tight = plain.count(delimiter) - plain.count(delimiter + " ")
        return tight, plain.count(delimiter)

    others = [one for one in ";\t" if weight(one)[0] or all(one in line for line in lines)]
    return max([",", *others], key=weight)  # of equals the first
