"""The columns of Quality in a job's table."""

from dataclasses import asdict
from typing import Any

from deployments.models.quality.answers import QualityMeasures
from deployments.runtime.columns import Columns, doubles


def _values(found: QualityMeasures) -> dict[str, Any]:
    return {f"quality_{name}": value for name, value in asdict(found).items()}


COLUMNS = {"quality": Columns(doubles("quality_brisque", "quality_technical", "quality_aesthetic"), _values)}
