"""Technical quality and aesthetics on the wire."""

from typing import Literal

from pydantic import BaseModel, Field

from serve_app.schemas.answers.view import Answered, AnswerView, Rendered

# The thresholds of the grades, on which clients of the analysis API depend.
HIGH_BRISQUE, MEDIUM_BRISQUE = 25, 50
HIGH_TECHNICAL, MEDIUM_TECHNICAL = 6.0, 4.5
HIGH_AESTHETIC, MEDIUM_AESTHETIC = 6.5, 5.0

Grade = Literal["low", "medium", "high"]


class QualityResult(BaseModel):
    brisque_score: float = Field(description="BRISQUE, about 0–150; lower is better.")
    nima_technical_score: float = Field(description="NIMA trained on technical quality (KonIQ-10k), 1–10.")
    overall_quality: Grade = Field(
        description="high: BRISQUE < 25 and technical ≥ 6.0; medium: < 50 and ≥ 4.5; otherwise low."
    )


class AestheticResult(BaseModel):
    nima_aesthetic_score: float = Field(description="NIMA trained on what people like (AVA), 1–10.")
    aesthetic_label: Grade = Field(description="high ≥ 6.5, medium ≥ 5.0, otherwise low.")


def render(answered: Answered) -> Rendered:
    """The result's `quality` and `aesthetic`."""
    found = answered.value
    label = _grade(found.aesthetic >= HIGH_AESTHETIC, found.aesthetic >= MEDIUM_AESTHETIC)
    aesthetic = AestheticResult(nima_aesthetic_score=found.aesthetic, aesthetic_label=label)
    if found.brisque is None:
        return Rendered(
            {"aesthetic": aesthetic}, "the image is too small or has no texture: BRISQUE has no value for it"
        )
    quality = QualityResult(
        brisque_score=found.brisque,
        nima_technical_score=found.technical,
        overall_quality=_grade(
            found.brisque < HIGH_BRISQUE and found.technical >= HIGH_TECHNICAL,
            found.brisque < MEDIUM_BRISQUE and found.technical >= MEDIUM_TECHNICAL,
        ),
    )
    return Rendered({"quality": quality, "aesthetic": aesthetic})


def _grade(high: bool, medium: bool) -> Grade:
    return "high" if high else "medium" if medium else "low"


VIEW = AnswerView(
    results={"quality": (QualityResult, ""), "aesthetic": (AestheticResult, "")},
    render=render,
    examples={
        "quality": {"brisque_score": 14.3, "nima_technical_score": 6.8, "overall_quality": "high"},
        "aesthetic": {"nima_aesthetic_score": 7.2, "aesthetic_label": "high"},
    },
)
