"""A caption on the wire."""

from pydantic import BaseModel, ConfigDict, JsonValue

from serve_app.schemas.answers.view import (
    SEEN_EXAMPLE,
    Answered,
    AnswerView,
    PictureResponse,
    PictureRoute,
    Rendered,
)

BLIP = "Salesforce/blip-image-captioning-base"
TEXT: JsonValue = "a cup of coffee on a table"


class CaptionResult(BaseModel):
    model: str
    text: str


class CaptionResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": BLIP, **SEEN_EXAMPLE, "caption": TEXT}]})

    caption: str


def render(answered: Answered) -> Rendered:
    """The result's `caption`."""
    return Rendered({"caption": CaptionResult(model=answered.model, text=answered.value)})


VIEW = AnswerView(
    results={"caption": (CaptionResult, "")},
    render=render,
    examples={"caption": {"model": BLIP, "text": TEXT}},
    route=PictureRoute(
        path="/caption",
        summary="Describe one image in a sentence",
        description="Describe one image with BLIP, decoded greedily.",
        response=CaptionResponse,
        fields=lambda answered: {"caption": answered.value},
    ),
)
