"""Lines of text in the order in which people read them."""

import random

import pytest

from deployments.models.text.answers import TextLine
from deployments.models.text.reading_order import in_reading_order


def line(text: str, x: float, y: float, width: float, height: float = 20) -> TextLine:
    return TextLine(text, 1.0, ((x, y), (x + width, y), (x + width, y + height), (x, y + height)))


PARAGRAPH = [line(f"{number}", 50, 50 + 30 * number, 500) for number in range(5)]
# A heading over two columns of running text, whose lines stand side by side.
COLUMNS = [
    line("heading", 200, 10, 300, 30),
    *(line(f"left {number}", 50, 100 + 30 * number, 300) for number in range(4)),
    *(line(f"right {number}", 400, 100 + 30 * number, 300) for number in range(4)),
    line("footer", 300, 400, 200),
]
TABLE = [
    cell
    for row, name in enumerate(("bread", "milk", "cheese"))
    for cell in (line(name, 50, 50 + 30 * row, 60), line(f"price of {name}", 400, 52 + 30 * row, 70))
]
# The second line is a little higher than the first: a page that was photographed at an angle.
TILTED = [line("one", 50, 60, 100), line("two", 200, 55, 100), line("three", 50, 95, 100), line("four", 200, 90, 100)]


@pytest.mark.parametrize(
    "lines",
    [PARAGRAPH, COLUMNS, TABLE, TILTED, PARAGRAPH[:1], []],
    ids=["paragraph", "columns", "table", "tilted", "one", "none"],
)
def test_lines_come_as_people_read_them(lines: list[TextLine]) -> None:
    mixed = random.Random(1).sample(lines, len(lines))
    assert [one.text for one in in_reading_order(mixed)] == [one.text for one in lines]
