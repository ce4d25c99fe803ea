"""The columns of Blur in a job's table."""

from typing import Any

from deployments.models.blur.answers import BlurMeasures
from deployments.runtime.columns import Columns, doubles


def _values(found: BlurMeasures) -> dict[str, Any]:
    return {"blur_variance": found.variance, "blur_normalized_variance": found.normalized_variance}


COLUMNS = {"blur": Columns(doubles("blur_variance", "blur_normalized_variance"), _values)}
