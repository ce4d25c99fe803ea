"""The exact search, divided into block rows: each compares a block of points with itself and all blocks after it."""

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

# Points in a block row. Few points give small rows, so that there are enough for many cores and for resuming.
FEWEST, MOST, BLOCK_ROWS = 1024, 8192, 32


class Threshold(NamedTuple):
    """The largest cosine distance between neighbours, and the number of neighbours of a core point."""

    eps: float
    min_samples: int


@dataclass(frozen=True)
class SearchPlan:
    """What is searched: `count` points in block rows of `block` points, for each of the thresholds."""

    count: int
    block: int
    thresholds: tuple[Threshold, ...]

    @property
    def rows(self) -> int:
        """The number of block rows."""
        return -(-self.count // self.block)

    def points(self, row: int) -> slice:
        """The points of a block row."""
        return slice(row * self.block, min((row + 1) * self.block, self.count))

    def pairs(self, row: int) -> int:
        """The number of pairs that a block row compares."""
        end = min((row + 1) * self.block, self.count)
        size = end - row * self.block
        return size * (size - 1) // 2 + size * (self.count - end)


class Block(NamedTuple):
    """The unit rows of a block, and their outlines (k, width) if they are used (`deployments.clustering.outline`)."""

    units: Units
    outlines: Singles | None = None

    @property
    def factors(self) -> Singles:
        """The vectors that are multiplied with those of another block."""
        return self.units.single() if self.outlines is None else self.outlines


class RowFound(NamedTuple):
    """What a block row found for each threshold, how many pairs it compared, and on which device."""

    found: list[GrowthUpdate]
    compared: int
    device: str


class Engine(Protocol):
    """Computes products of up to `side` × `side` points at a time, on the device of this name."""

    side: int
    device: str

    def load(self, single: Singles) -> Any:
        """Move unit rows to the device; the result can be sliced by rows."""

    def products(self, rows: Any, columns: Any) -> Products:
        """The products of two slices of what `load` returned; valid until the next call."""


@dataclass
class HostEngine:
    """Computes products with the BLAS of this process."""

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
    """The points per block for so many points: a multiple of 1024 from 1024 to 8192."""
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
        row: the number of the block row.
        blocks: returns a block by its number; either all blocks have outlines or none.
        known: a snapshot of the growth for each threshold; pairs that it already connects are not compared again.
        engine: computes the products.
        stop: called between products; True cancels the search.

    Raises:
        Cancelled: `stop` returned True.
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
    """Serialise what a block row found."""
    arrays = {f"{name}_{index}": array for index, one in enumerate(row.found) for name, array in one._asdict().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, compared=np.array(row.compared), device=np.array(row.device), **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> RowFound:
    """Restore what `pack` serialised."""
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
