"""The columns of the captioner in a job's table."""

from typing import Any

import pyarrow as pa

from deployments.runtime.columns import Columns


def _values(text: str) -> dict[str, Any]:
    return {"caption": text}


COLUMNS = {"caption": Columns((pa.field("caption", pa.string()),), _values)}
