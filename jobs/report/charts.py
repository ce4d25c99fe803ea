"""The geometry of the report's charts, in the units of their SVG; the template draws them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

WIDTH, HEIGHT = 720.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 8.0, 8.0, 24.0
MOST_LABELS = 6
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """Round values along an axis that spans the data from `low` to `high`."""

    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """At most six values, multiples of 1, 2 or 5 times a power of ten."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        rough = span / TICKS
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [round(index * step, 10) for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Bar:
    """A rectangle; `series` is the index of its colour."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True)
class Tick:
    """A grid line at coordinate `at`, with its text."""

    at: float
    text: str


@dataclass(frozen=True)
class BarChart:
    """Stacked bars from left to right."""

    labels: Sequence[str]
    series: Mapping[str, Sequence[int]]
    width: float = WIDTH
    height: float = HEIGHT

    def __post_init__(self) -> None:
        if any(len(counts) != len(self.labels) for counts in self.series.values()):
            raise ValueError("every series needs a count for each label")

    @cached_property
    def _top(self) -> int:
        return max(1, max((sum(counts) for counts in zip(*self.series.values(), strict=True)), default=1))

    @property
    def bars(self) -> Iterator[Bar]:
        """The bars whose count is not 0."""
        room = (self.width - LEFT - RIGHT) / max(1, len(self.labels))
        for index, label in enumerate(self.labels):
            base = 0
            for number, (name, counts) in enumerate(self.series.items()):
                count = counts[index]
                if count:
                    top = self._y(base + count)
                    title = f"{label}: {count:,} {name}"
                    yield Bar(LEFT + index * room, top, max(0.5, room * 0.9), self._y(base) - top, number, title)
                base += count

    @property
    def rows(self) -> list[Tick]:
        """The horizontal grid lines, labelled with their counts."""
        return [Tick(self._y(value), f"{value:,.0f}") for value in Axis(0, self._top).ticks if value == int(value)]

    @property
    def columns(self) -> list[Tick]:
        """About six of the labels, centred below their bars."""
        room = (self.width - LEFT - RIGHT) / max(1, len(self.labels))
        step = max(1, math.ceil(len(self.labels) / MOST_LABELS))
        return [Tick(LEFT + (index + 0.45) * room, label) for index, label in enumerate(self.labels)][::step]

    def _y(self, count: float) -> float:
        return self.height - BOTTOM - count / self._top * (self.height - TOP - BOTTOM)


class PointChart:
    """Points in a plane or on a map. A map shortens degrees of longitude by the cosine of its middle latitude.

    Attributes:
        dots: (x, y, index of the group) in the order of the groups.
        shown, total: how many points are drawn, and how many there are. Points that are not finite are not counted.
    """

    def __init__(self, groups: Mapping[str, Sequence[tuple[float, float]]], geographic: bool, most: int) -> None:
        finite = [
            (x, y, number)
            for number, points in enumerate(groups.values())
            for x, y in points
            if math.isfinite(x) and math.isfinite(y)
        ]
        self.total, self.width = len(finite), WIDTH
        step = max(1, math.ceil(len(finite) / most))
        drawn = finite[::step]
        self.shown = len(drawn)
        self._x, self._y = _padded([x for x, _, _ in finite]), _padded([y for _, y, _ in finite])
        shrink = max(0.1, math.cos(math.radians((self._y.low + self._y.high) / 2))) if geographic else 1.0
        across, down = (self._x.high - self._x.low) * shrink, self._y.high - self._y.low
        room = self.width - LEFT - RIGHT
        # A map keeps its aspect ratio; a plane without units may have any, here 0.6.
        self.height = TOP + BOTTOM + (min(2 * WIDTH, room * down / across) if geographic else room * 0.6)
        self._unit = "°" if geographic else ""
        self.dots = [(self._across(x), self._down(y), number) for x, y, number in drawn]

    @property
    def rows(self) -> list[Tick]:
        """Grid lines of equal y."""
        return [Tick(self._down(value), f"{value:g}{self._unit}") for value in self._y.ticks]

    @property
    def columns(self) -> list[Tick]:
        """Grid lines of equal x."""
        return [Tick(self._across(value), f"{value:g}{self._unit}") for value in self._x.ticks]

    def _across(self, x: float) -> float:
        return LEFT + (x - self._x.low) / (self._x.high - self._x.low) * (self.width - LEFT - RIGHT)

    def _down(self, y: float) -> float:
        return self.height - BOTTOM - (y - self._y.low) / (self._y.high - self._y.low) * (self.height - TOP - BOTTOM)


def _padded(values: Sequence[float]) -> Axis:
    """The range of the values with a margin of 4 % on both sides; for one value or none, a range of about 1."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = (high - low) * 0.04 or max(0.5, abs(low) * 1e-6)
    return Axis(low - room, high + room)
