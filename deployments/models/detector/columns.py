"""The columns of the detector in a job's table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from deployments.models.detector.answers import FoundObject
from deployments.runtime.columns import Columns

SIDES = ("left", "top", "right", "bottom")
BOX = pa.struct([("label", pa.string()), *((side, pa.float64()) for side in SIDES)])


def _values(found: Sequence[FoundObject]) -> dict[str, Any]:
    return {"objects": [{"label": one.label, **dict(zip(SIDES, one.box, strict=True))} for one in found]}


COLUMNS = {"objects": Columns((pa.field("objects", pa.list_(BOX)),), _values)}
