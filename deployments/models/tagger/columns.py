"""The columns of the tagger in a job's table."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from deployments.models.tagger.answers import Tag
from deployments.runtime.columns import Columns

TAG = pa.struct([("label", pa.string()), ("probability", pa.float64())])


def _values(tags: Sequence[Tag]) -> dict[str, Any]:
    return {"tags": [asdict(tag) for tag in tags]}


COLUMNS = {"tags": Columns((pa.field("tags", pa.list_(TAG)),), _values)}
