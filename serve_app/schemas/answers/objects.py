"""Objects on the wire."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from deployments.models.detector.answers import FoundObject, counts
from serve_app.schemas.answers.view import (
    SEEN_EXAMPLE,
    Answered,
    AnswerView,
    PictureResponse,
    PictureRoute,
    Rendered,
)

FLORENCE = "florence-community/Florence-2-base"
EXAMPLE: dict[str, JsonValue] = {
    "objects": [{"label": "cup", "region": {"x": 120, "y": 45, "w": 210, "h": 215}}],
    "counts": {"cup": 1},
}


class DetectedObject(BaseModel):
    label: str
    region: dict[str, int] = Field(description="x, y, w, h of the object in pixels of the upright image.")


class ObjectsResult(BaseModel):
    model: str
    objects: list[DetectedObject]
    counts: dict[str, int] = Field(description="How many objects have each label.")


class ObjectsResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": FLORENCE, **SEEN_EXAMPLE, **EXAMPLE}]})

    objects: list[DetectedObject]
    counts: dict[str, int] = Field(description="How many objects have each label.")


def render(answered: Answered) -> Rendered:
    """The result's `objects`."""
    objects = ObjectsResult(model=answered.model, objects=_detected(answered), counts=counts(answered.value))
    return Rendered({"objects": objects})


def _detected(answered: Answered) -> list[DetectedObject]:
    return [
        DetectedObject(label=one.label, region=_region(one, answered.width, answered.height)) for one in answered.value
    ]


def _region(found: FoundObject, width: int, height: int) -> dict[str, int]:
    left, top, right, bottom = found.box
    x, y = round(left * width), round(top * height)
    return {"x": x, "y": y, "w": round(right * width) - x, "h": round(bottom * height) - y}


VIEW = AnswerView(
    results={"objects": (ObjectsResult, "")},
    render=render,
    examples={"objects": {"model": FLORENCE, **EXAMPLE}},
    route=PictureRoute(
        path="/objects",
        summary="The objects in one image, with their regions",
        description="Detect objects with Florence-2, and count them by label.",
        response=ObjectsResponse,
        fields=lambda answered: {"objects": _detected(answered), "counts": counts(answered.value)},
    ),
)
