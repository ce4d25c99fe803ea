"""The map classifier's decision in an analysis, on the wire."""

from typing import Literal

from pydantic import BaseModel

from serve_app.schemas.answers.view import Answered, AnswerView, Rendered


class ClassificationResult(BaseModel):
    model: str
    classification: Literal["maps", "aerial_satellite", "miscellaneous"]
    confidence: float
    is_map_or_aerial: bool
    probabilities: dict[str, float]


def render(answered: Answered) -> Rendered:
    """The result's `classification`, from a Decision."""
    decision = answered.value
    classification = ClassificationResult(
        model=answered.model,
        classification=decision.category,
        confidence=decision.confidence,
        is_map_or_aerial=decision.is_map_or_aerial,
        probabilities=decision.probabilities,
    )
    return Rendered({"classification": classification})


VIEW = AnswerView(
    results={"classification": (ClassificationResult, "")}, render=render, examples={"classification": None}
)
