"""CLIP's embedding of a picture on the wire."""

from pydantic import BaseModel, Field

from serve_app.schemas.answers.view import Answered, AnswerView, Rendered


class EmbeddingResult(BaseModel):
    model: str = Field(description="The exact weights; vectors of different weights cannot be compared.")
    dimensions: int
    vector: list[float] = Field(description="L2-normalised.")


def render(answered: Answered) -> Rendered:
    """The result's `embedding`, from a vector (d,)."""
    vector = answered.value
    return Rendered(
        {"embedding": EmbeddingResult(model=answered.model, dimensions=len(vector), vector=vector.tolist())}
    )


VIEW = AnswerView(
    results={"embedding": (EmbeddingResult, "")},
    render=render,
    examples={"embedding": {"model": "openai/clip-vit-base-patch32", "dimensions": 512, "vector": [0.021, -0.014]}},
)
