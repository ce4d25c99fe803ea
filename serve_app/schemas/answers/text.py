"""Text on the wire."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from deployments.models.text.answers import TextLine
from serve_app.schemas.answers.view import (
    SEEN_EXAMPLE,
    Answered,
    AnswerView,
    PictureResponse,
    PictureRoute,
    Rendered,
)

PP_OCR = "rapidocr/pp-ocrv6-small"
EXAMPLE: list[JsonValue] = [
    {"text": "Oudegracht", "confidence": 0.99, "quadrilateral": [[120, 45], [330, 45], [330, 80], [120, 80]]}
]


class ReadLine(BaseModel):
    text: str
    confidence: float = Field(description="The mean over its characters, 0–1.")
    quadrilateral: list[tuple[float, float]] = Field(
        description="Four corners (x, y) in pixels of the upright image, clockwise from the top left."
    )


class TextResult(BaseModel):
    model: str
    lines: list[ReadLine] = Field(description="In reading order.")


class TextResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": PP_OCR, **SEEN_EXAMPLE, "lines": EXAMPLE}]})

    lines: list[ReadLine] = Field(description="In reading order; none for a picture without text.")


def render(answered: Answered) -> Rendered:
    """The result's `text`."""
    return Rendered({"text": TextResult(model=answered.model, lines=_lines(answered.value))})


def _lines(found: Iterable[TextLine]) -> list[ReadLine]:
    return [
        ReadLine(text=line.text, confidence=line.confidence, quadrilateral=list(line.quadrilateral)) for line in found
    ]


VIEW = AnswerView(
    results={"text": (TextResult, "")},
    render=render,
    examples={"text": {"model": PP_OCR, "lines": EXAMPLE}},
    route=PictureRoute(
        path="/text",
        summary="The text in one image, line by line",
        description="PP-OCRv6 finds lines of text and reads Latin letters, Chinese and Japanese.",
        response=TextResponse,
        fields=lambda answered: {"lines": _lines(answered.value)},
    ),
)
