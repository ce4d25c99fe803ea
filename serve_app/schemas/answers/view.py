"""How an analysis looks on the wire: in an image's result of /v1/analyze, and on its own route where it has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from configs.settings import Settings
from serve_app.schemas.common import ImageInput

IMAGE_EXAMPLE: JsonValue = {"url": "https://example.com/coffee.jpg", "image_id": "p1"}
SEEN_EXAMPLE: dict[str, JsonValue] = {"image_id": "p1", "width_px": 640, "height_px": 427}


@dataclass(frozen=True)
class Answered:
    """A model's answer on a picture.

    Attributes:
        value: what the deployment's `analyze` gave.
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
    """The fields of an image's result that an answer fills, and what is to be said of a field that it cannot fill."""

    fields: Mapping[str, BaseModel]
    problem: str | None = None


class PictureRequest(BaseModel):
    """One image."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"image": IMAGE_EXAMPLE}]})

    image: ImageInput

    def arguments(self) -> tuple[object, ...]:
        """Of the deployment's `analyze`, after the picture."""
        return ()


class PictureResponse(BaseModel):
    """What every answer about one image says."""

    model: str = Field(description="The exact weights that answered.")
    image_id: str | None
    width_px: int = Field(description="Of the upright image.")
    height_px: int


@dataclass(frozen=True)
class PictureRoute:
    """POST /v1/<path> for one picture and one model.

    Attributes:
        summary, description: for /docs.
        fields: what the response says beside `PictureResponse`.
    """

    path: str
    summary: str
    description: str
    response: type[PictureResponse]
    fields: Callable[[Answered], dict[str, Any]]
    request: type[PictureRequest] = PictureRequest


@dataclass(frozen=True)
class AnswerView:
    """One analysis on the wire.

    Attributes:
        results: the type of each field of an image's result that it fills, and the field's description or "".
        examples: their examples for /docs.
        render: from an answer to these fields.
        route: where it has one of its own.
    """

    results: Mapping[str, tuple[type[BaseModel], str]]
    render: Callable[[Answered], Rendered]
    examples: Mapping[str, JsonValue] = field(default_factory=dict)
    route: PictureRoute | None = None
