"""Tags on the wire."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from deployments.models.tagger.answers import Tag
from deployments.models.tagger.spec import TAGS
from serve_app.schemas.answers.view import (
    IMAGE_EXAMPLE,
    SEEN_EXAMPLE,
    Answered,
    AnswerView,
    PictureRequest,
    PictureResponse,
    PictureRoute,
    Rendered,
)

LEVIT = "facebook/levit-384"
MOST_LABELS = 1000
EXAMPLE: list[JsonValue] = [
    {"label": "espresso", "probability": 0.81},
    {"label": "cup", "probability": 0.09},
]


class TagScore(BaseModel):
    label: str
    probability: float = Field(description="0–1; the probabilities of all labels of the model sum to 1.")


class TagsResult(BaseModel):
    model: str
    tags: list[TagScore] = Field(description="The most probable first.")


class TagsRequest(PictureRequest):
    """One image and the number of labels to return."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": IMAGE_EXAMPLE, "num_labels": 2}]})

    num_labels: int = Field(TAGS, ge=1, le=MOST_LABELS)

    def arguments(self) -> tuple[object, ...]:
        """The number of labels."""
        return (self.num_labels,)


class TagsResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": LEVIT, **SEEN_EXAMPLE, "tags": EXAMPLE}]})

    tags: list[TagScore] = Field(description="The most probable first.")


def render(answered: Answered) -> Rendered:
    """The result's `tags`."""
    return Rendered({"tags": TagsResult(model=answered.model, tags=tag_scores(answered.value))})


def tag_scores(tags: Iterable[Tag]) -> list[TagScore]:
    """Labels with their probabilities."""
    return [TagScore(label=tag.label, probability=tag.probability) for tag in tags]


VIEW = AnswerView(
    results={"tags": (TagsResult, "")},
    render=render,
    examples={"tags": {"model": LEVIT, "tags": EXAMPLE}},
    route=PictureRoute(
        path="/tags",
        summary="The most probable labels of one image",
        description="The most probable labels of an image classifier. The default weights have the labels of ImageNet.",
        request=TagsRequest,
        response=TagsResponse,
        fields=lambda answered: {"tags": tag_scores(answered.value)},
    ),
)
