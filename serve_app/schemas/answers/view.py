"""The wire format of an analysis: its part of an image's result in /v1/analyze, and its own route if it has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from configs.settings import Settings
from deployments.wire.requests import RequestModel
from serve_app.schemas.common import ImageInput

IMAGE_EXAMPLE: JsonValue = {"url": "https://example.com/coffee.jpg", "image_id": "p1"}
SEEN_EXAMPLE: dict[str, JsonValue] = {"image_id": "p1", "width_px": 640, "height_px": 427}


@dataclass(frozen=True)
class Answered:
    """A model's answer about a picture.

    Attributes:
        value: what the deployment's `analyze` returned.
        model: the id of the weights that answered.
        width, height: of the upright picture, in pixels.
    """

    value: Any
    model: str
    width: int
    height: int
    settings: Settings


@dataclass(frozen=True)
class Rendered:
    """The fields of an image's result that an answer fills, and the problem if it cannot fill one."""

    fields: Mapping[str, BaseModel]
    problem: str | None = None


class PictureRequest(RequestModel):
    """One image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": IMAGE_EXAMPLE}]})

    image: ImageInput

    def arguments(self) -> tuple[object, ...]:
        """The arguments of the deployment's `analyze` after the picture."""
        return ()


class PictureResponse(BaseModel):
    """The fields of every answer about one image."""

    model: str = Field(description="The exact weights that answered.")
    image_id: str | None
    width_px: int = Field(description="Width of the upright image in pixels.")
    height_px: int


@dataclass(frozen=True)
class PictureRoute:
    """The route POST /v1/<path> for one picture and one model.

    Attributes:
        summary, description: the texts in /docs.
        fields: makes the fields of the response that `PictureResponse` does not have.
    """

    path: str
    summary: str
    description: str
    response: type[PictureResponse]
    fields: Callable[[Answered], dict[str, Any]]
    request: type[PictureRequest] = PictureRequest


@dataclass(frozen=True)
class AnswerView:
    """The wire format of one analysis.

    Attributes:
        results: the type and the description (or "") of each field of an image's result that it fills.
        examples: examples of these fields for /docs.
        render: makes these fields of an answer.
        route: its own route, if it has one.
    """

    results: Mapping[str, tuple[type[BaseModel], str]]
    render: Callable[[Answered], Rendered]
    examples: Mapping[str, JsonValue] = field(default_factory=dict)
    route: PictureRoute | None = None
