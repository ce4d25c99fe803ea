"""Family A: the classifier of maps and aerial photos."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

EXAMPLE: dict[str, JsonValue] = {
    "filename": "situation.png",
    "file_size_bytes": 156789,
    "is_map_or_aerial": True,
    "confidence": 0.97,
    "classification": "maps",
    "probabilities": {"maps": 0.97, "aerial_satellite": 0.02, "miscellaneous": 0.01},
    "would_download": True,
    "timestamp": "2026-11-21T09:30:00.000000+00:00",
}


class Probabilities(BaseModel):
    """The softmax over the three categories; the probabilities sum to 1."""

    maps: float
    aerial_satellite: float
    miscellaneous: float


class Classification(BaseModel):
    """The answer of POST /classify."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    filename: str
    file_size_bytes: int
    is_map_or_aerial: bool = Field(
        description="(maps > 0.4 or aerial_satellite > 0.4) and miscellaneous < 0.6.",
    )
    confidence: float = Field(description="Probability of the chosen category, 0–1.")
    classification: Literal["maps", "aerial_satellite", "miscellaneous"]
    probabilities: Probabilities
    would_download: bool = Field(description="The same as is_map_or_aerial.")
    timestamp: str = Field(description="Time of the answer: UTC, ISO 8601.")
