"""Blur on the wire."""

from pydantic import BaseModel, Field

from deployments.models.blur.settings import BlurSettings
from serve_app.schemas.answers.view import Answered, AnswerView, Rendered


class BlurResult(BaseModel):
    laplacian_variance: float = Field(description="At the image's own size; higher is sharper.")
    normalized_laplacian_variance: float = Field(
        description="With the long side scaled to 512 pixels: comparable between images of different sizes."
    )
    is_blurry: bool = Field(description="laplacian_variance < blur_threshold.")
    blur_threshold: float


def render(answered: Answered) -> Rendered:
    """The result's `blur`."""
    found, threshold = answered.value, answered.settings.of(BlurSettings).threshold
    blur = BlurResult(
        laplacian_variance=found.variance,
        normalized_laplacian_variance=found.normalized_variance,
        is_blurry=found.variance < threshold,
        blur_threshold=threshold,
    )
    return Rendered({"blur": blur})


VIEW = AnswerView(
    results={"blur": (BlurResult, "")},
    render=render,
    examples={
        "blur": {
            "laplacian_variance": 312.5,
            "normalized_laplacian_variance": 148.2,
            "is_blurry": False,
            "blur_threshold": 100.0,
        }
    },
)
