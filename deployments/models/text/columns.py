"""The columns of Text in a job's table."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from deployments.models.text.answers import TextLine
from deployments.runtime.columns import Columns

POINT = pa.struct([("x", pa.float32()), ("y", pa.float32())])
LINE = pa.struct([("text", pa.string()), ("confidence", pa.float32()), ("quadrilateral", pa.list_(POINT))])


def _values(lines: Sequence[TextLine]) -> dict[str, Any]:
    return {
        "text_lines": [
            {
                "text": line.text,
                "confidence": line.confidence,
                "quadrilateral": [{"x": x, "y": y} for x, y in line.quadrilateral],
            }
            for line in lines
        ]
    }


COLUMNS = {"text": Columns((pa.field("text_lines", pa.list_(LINE)),), _values)}
