"""What the tagger, the captioner and the detector say of one picture: on their own routes and in an analysis."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from serve_app.schemas.common import ImageInput

BLIP, LEVIT = "Salesforce/blip-image-captioning-base", "facebook/levit-384"
FLORENCE = "florence-community/Florence-2-base"
CAPTION_EXAMPLE: JsonValue = {"model": BLIP, "text": "a cup of coffee on a table"}
TAGS: list[JsonValue] = [
    {"label": "espresso", "probability": 0.81},
    {"label": "cup", "probability": 0.09},
]
TAGS_EXAMPLE: JsonValue = {"model": LEVIT, "tags": TAGS}
OBJECTS: dict[str, JsonValue] = {
    "objects": [{"label": "cup", "region": {"x": 120, "y": 45, "w": 210, "h": 215}}],
    "counts": {"cup": 1},
}
OBJECTS_EXAMPLE: JsonValue = {"model": FLORENCE, **OBJECTS}
IMAGE_EXAMPLE: JsonValue = {"url": "https://example.com/coffee.jpg", "image_id": "p1"}
SEEN_EXAMPLE: dict[str, JsonValue] = {"image_id": "p1", "width_px": 640, "height_px": 427}

MOST_LABELS = 1000
LABELS = 5  # unless a request says otherwise


class TagScore(BaseModel):
    label: str
    probability: float = Field(description="0–1, among all the labels of the model.")


class DetectedObject(BaseModel):
    label: str
    region: dict[str, int] = Field(description="x, y, w, h in pixels of the upright image.")


class CaptionResult(BaseModel):
    model: str
    text: str


class TagsResult(BaseModel):
    model: str
    tags: list[TagScore] = Field(description="The most probable first.")


class ObjectsResult(BaseModel):
    model: str
    objects: list[DetectedObject]
    counts: dict[str, int] = Field(description="How many there are of each label.")


class PictureRequest(BaseModel):
    """One image."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"image": IMAGE_EXAMPLE}]})

    image: ImageInput


class TagsRequest(PictureRequest):
    """One image and how many labels it gets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": IMAGE_EXAMPLE, "num_labels": 2}]})

    num_labels: int = Field(LABELS, ge=1, le=MOST_LABELS)


class PictureResponse(BaseModel):
    """What every answer about one image says."""

    model: str = Field(description="The exact weights that answered.")
    image_id: str | None
    width_px: int = Field(description="Of the upright image.")
    height_px: int


class CaptionResponse(PictureResponse):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "Salesforce/blip-image-captioning-base",
                    **SEEN_EXAMPLE,
                    "caption": "a cup of coffee on a table",
                }
            ]
        }
    )

    caption: str


class TagsResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": LEVIT, **SEEN_EXAMPLE, "tags": TAGS}]})

    tags: list[TagScore] = Field(description="The most probable first.")


class ObjectsResponse(PictureResponse):
    model_config = ConfigDict(json_schema_extra={"examples": [{"model": FLORENCE, **SEEN_EXAMPLE, **OBJECTS}]})

    objects: list[DetectedObject]
    counts: dict[str, int] = Field(description="How many there are of each label.")
