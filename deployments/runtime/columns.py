"""The columns of an analysis in a job's table. Needs the extra `jobs`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Columns:
    """The columns of one analysis.

    Attributes:
        fields: their names and types.
        values: makes the columns' values from the model's answer on a picture.
    """

    fields: tuple[pa.Field, ...]
    values: Callable[[Any], dict[str, Any]]


def doubles(*names: str) -> tuple[pa.Field, ...]:
    """Columns of float64."""
    return tuple(pa.field(name, pa.float64()) for name in names)
