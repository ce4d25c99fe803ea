"""The analyses of a job, by the models' specs: their columns, and the weights that answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from deployments.runtime.columns import Columns
from deployments.runtime.weights import Weights
from deployments.specs import analyses

# The analyses of a job by default.
DEFAULT = tuple(name for name, (analysis, _) in analyses().items() if analysis.job_default)

Values = dict[str, Any]


def columns_of(analysis: str) -> Columns:
    """The columns of an analysis in the table."""
    _, spec = analyses()[analysis]
    return spec.columns()[analysis]


# `image_id` is the path: the key has this name in the tables of images of all jobs.
FILE_FIELDS = (
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("path", pa.string(), nullable=False),
    pa.field("sha256", pa.string()),
    pa.field("bytes", pa.int64(), nullable=False),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("format", pa.string()),
    pa.field("error", pa.string()),
)


@dataclass(frozen=True)
class Served:
    """The weights behind an analysis: the ids of all of them, and whether any are the bundled ones."""

    weights: str
    bundled: bool


def served(models: Sequence[Weights]) -> Served:
    """The `Served` of a deployment's weights."""
    return Served(" + ".join(model.id for model in models), any(model.source == "bundled" for model in models))


def schema(names: Sequence[str]) -> pa.Schema:
    """The columns of a table of images."""
    fields = list(FILE_FIELDS)
    for name in names:
        fields += columns_of(name).fields
        fields += [pa.field(f"{name}_weights", pa.string()), pa.field(f"{name}_bundled", pa.bool_())]
    return pa.schema(fields)


def stamps(served_by: dict[str, Served]) -> Values:
    """`<name>_weights` and `<name>_bundled` of every analysis."""
    values: Values = {}
    for name, one in served_by.items():
        values |= {f"{name}_weights": one.weights, f"{name}_bundled": one.bundled}
    return values
