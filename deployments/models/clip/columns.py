"""The columns of CLIP in a job's table."""

from typing import Any

import pyarrow as pa

from configs.prompts import CATEGORIES
from deployments.models.clip.answers import Floats
from deployments.models.clip.map_rule import Decision
from deployments.runtime.columns import Columns, doubles


def _embedding(vector: Floats) -> dict[str, Any]:
    return {"embedding": vector}


def _classification(decision: Decision) -> dict[str, Any]:
    return {
        "classification": decision.category,
        "classification_confidence": decision.confidence,
        "is_map_or_aerial": decision.is_map_or_aerial,
        **{f"probability_{name}": value for name, value in decision.probabilities.items()},
    }


COLUMNS = {
    "embedding": Columns((pa.field("embedding", pa.list_(pa.float32())),), _embedding),
    "classification": Columns(
        (
            pa.field("classification", pa.string()),
            *doubles("classification_confidence"),
            pa.field("is_map_or_aerial", pa.bool_()),
            *doubles(*(f"probability_{category}" for category in CATEGORIES)),
        ),
        _classification,
    ),
}
