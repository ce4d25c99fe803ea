"""The order in which people read the lines of a page: columns one after the other, otherwise row by row.

A page is cut again and again where a gap goes all the way through (recursive XY cut, Nagy and Seth 1984): across it
between its blocks, and down it between columns of running text. The cells of a table, which are short, stay in rows.
"""

from collections.abc import Callable, Sequence
from statistics import mean

from deployments.models.text.answers import TextLine

# A gap across the page that is this many lines high separates blocks; lines of one block stand closer together.
BLOCK_GAP = 0.8
# Lines of running text are on average at least this many times as wide as they are high.
RUNNING_TEXT = 6.0

Span = Callable[[TextLine], tuple[float, float]]


def across(line: TextLine) -> tuple[float, float]:
    """The left and the right end of a line, in pixels."""
    xs = [x for x, _ in line.quadrilateral]
    return min(xs), max(xs)


def down(line: TextLine) -> tuple[float, float]:
    """The top and the bottom of a line, in pixels."""
    ys = [y for _, y in line.quadrilateral]
    return min(ys), max(ys)


def in_reading_order(lines: Sequence[TextLine]) -> list[TextLine]:
    """The same lines as they are read, from the top left."""
    if len(lines) < 2:
        return list(lines)
    columns = _cut(lines, across, 0.0)
    if len(columns) > 1 and all(_is_running_text(column) for column in columns):
        return [line for column in columns for line in in_reading_order(column)]
    blocks = _cut(lines, down, BLOCK_GAP * mean(_extent(line, down) for line in lines))
    if len(blocks) > 1:
        return [line for block in blocks for line in in_reading_order(block)]
    return [line for row in _rows(lines) for line in row]


def _cut(lines: Sequence[TextLine], span: Span, gap: float) -> list[list[TextLine]]:
    """The groups of lines between which there is a gap wider than `gap`, in order."""
    groups: list[list[TextLine]] = []
    end = float("-inf")
    for line in sorted(lines, key=span):
        first, last = span(line)
        if first > end + gap:
            groups.append([])
        groups[-1].append(line)
        end = max(end, last)
    return groups


def _rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that stand beside one another, each row from the left: a line's middle is within the row's first line."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda one: sum(down(one))):
        middle = mean(down(line))
        if rows and down(rows[-1][0])[0] <= middle <= down(rows[-1][0])[1]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=across) for row in rows]


def _is_running_text(lines: Sequence[TextLine]) -> bool:
    """Whether there are several lines, most of them as long as those of a paragraph."""
    shapes = [_extent(line, across) / max(1.0, _extent(line, down)) for line in lines]
    return len(lines) > 1 and mean(shapes) >= RUNNING_TEXT


def _extent(line: TextLine, span: Span) -> float:
    first, last = span(line)
    return last - first
