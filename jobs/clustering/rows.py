"""The exact search, cut into block rows: each compares a block of points with itself and with all blocks after it."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from deployments.clustering.dbscan import (
    BLOCK,
    Cancelled,
    HostProducts,
    OutlinedProducts,
    Products,
    Singles,
    Units,
    neighbours,
)
from deployments.clustering.growth import Growth, GrowthSnapshot, GrowthUpdate

# Points of a block row: small ones for few points, so that there are rows for many cores and for going on.
FEWEST, MOST, BLOCK_ROWS = 1024, 8192, 32


class Threshold(NamedTuple):
    """What is searched: neighbours up to this cosine distance, and how many make a core point."""

    eps: float
    min_samples: int


@dataclass(frozen=True)
class SearchPlan:
    """Block rows of `block` points each over `count` points."""

    count: int
    block: int
    thresholds: tuple[Threshold, ...]

    @property
    def rows(self) -> int:
        """How many block rows there are."""
        return -(-self.count // self.block)

    def points(self, row: int) -> slice:
        """The points of a block row."""
        return slice(row * self.block, min((row + 1) * self.block, self.count))

    def pairs(self, row: int) -> int:
        """How many pairs a block row compares."""
        end = min((row + 1) * self.block, self.count)
        size = end - row * self.block
        return size * (size - 1) // 2 + size * (self.count - end)


class Block(NamedTuple):
    """The unit rows of a block, and their outlines (k, width) where there are any
    (`deployments.clustering.outline`)."""

    units: Units
    outlines: Singles | None = None

    @property
    def factors(self) -> Singles:
        """What is multiplied with another block's."""
        return self.units.single() if self.outlines is None else self.outlines


class RowFound(NamedTuple):
    """What a block row found for each threshold, how many pairs it had to compare, and on which device."""

    found: list[GrowthUpdate]
    compared: int
    device: str


class Engine(Protocol):
    """What multiplies: `side` points a side at a time, on a device of this name."""

    side: int
    device: str

    def load(self, single: Singles) -> Any:
        """Unit rows to where the products are made; the result is sliced by rows."""

    def products(self, rows: Any, columns: Any) -> Products:
        """Of slices of what `load` gave; valid until the next call."""


@dataclass
class HostEngine:
    """This process's BLAS."""

    side: int = BLOCK
    device: str = "cpu"
    _room: Singles = field(default_factory=lambda: np.empty(0, np.float32))

    def load(self, single: Singles) -> Singles:
        return single

    def products(self, rows: Singles, columns: Singles) -> Products:
        if not self._room.size:
            self._room = np.empty(self.side**2, np.float32)
        return HostProducts(rows, columns, self._room)


def points_a_block(count: int) -> int:
    """A multiple of 1024, the same for the same count."""
    wanted = -(-count // (BLOCK_ROWS * FEWEST)) * FEWEST
    return min(max(wanted, FEWEST), MOST)


def search_row(
    plan: SearchPlan,
    row: int,
    blocks: Callable[[int], Block],
    known: Sequence[GrowthSnapshot],
    engine: Engine,
    stop: Callable[[], bool] = lambda: False,
) -> RowFound:
    """Search one block row.

    Args:
        plan: what is searched.
        row: its number.
        blocks: gives a block by its number; all have outlines, or none.
        known: what is known of the growth of each threshold; what it connects already is not looked at again.
        engine: makes the products.
        stop: asked between products.

    Raises:
        Cancelled: `stop` said so.
    """
    growths = [Growth.of(one) for one in known]
    compared = 0
    rows, one = blocks(row), plan.points(row)
    loaded = engine.load(rows.factors)
    for number in range(row, plan.rows):
        other = plan.points(number)
        if all(growth.is_one(one, other) for growth in growths):
            continue
        columns = rows if number == row else blocks(number)
        loaded_columns = loaded if number == row else engine.load(columns.factors)
        for part, beside in _tiles(len(rows.units), len(columns.units), engine.side, number == row):
            if stop():
                raise Cancelled
            here, there = _moved(part, one.start), _moved(beside, other.start)
            if all(growth.is_one(here, there) for growth in growths):
                continue
            mine, theirs = rows.units.part(part), columns.units.part(beside)
            products = engine.products(loaded[part], loaded_columns[beside])
            if rows.outlines is not None:
                products = OutlinedProducts(products, mine, theirs)
            compared += len(mine) * len(theirs)
            for threshold, growth in zip(plan.thresholds, growths, strict=True):
                growth.add(here, there, neighbours(mine, theirs, threshold.eps, products))
    return RowFound(
        [growth.found_since(one) for growth, one in zip(growths, known, strict=True)], compared, engine.device
    )


def pack(row: RowFound) -> bytes:
    """For a file."""
    arrays = {f"{name}_{index}": array for index, one in enumerate(row.found) for name, array in one._asdict().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, compared=np.array(row.compared), device=np.array(row.device), **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> RowFound:
    """What was packed."""
    with np.load(io.BytesIO(data)) as arrays:
        count = (len(arrays.files) - 2) // len(GrowthUpdate._fields)
        found = [GrowthUpdate(*(arrays[f"{name}_{index}"] for name in GrowthUpdate._fields)) for index in range(count)]
        return RowFound(found, int(arrays["compared"]), str(arrays["device"]))


def _tiles(rows: int, columns: int, side: int, is_diagonal: bool) -> Iterator[tuple[slice, slice]]:
    for top in range(0, rows, side):
        for left in range(top if is_diagonal else 0, columns, side):
            yield slice(top, min(top + side, rows)), slice(left, min(left + side, columns))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
