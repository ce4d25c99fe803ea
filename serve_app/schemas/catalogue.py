"""Family E: the images of the catalogue."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deployments.catalogue.records import Status
from deployments.catalogue.store.base import ThumbnailSize
from serve_app.schemas.answers.tags import TagScore

_THUMBNAILS: Any = {
    "small": "http://127.0.0.1:8000/api/images/1/thumbnails/small/file",
    "medium": "http://127.0.0.1:8000/api/images/1/thumbnails/medium/file",
}
_TAGS: Any = [{"label": "house", "probability": 0.9344}]


class Accepted(BaseModel):
    """An upload that is stored but not yet processed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image_id": 1, "status": "processing"}]})

    image_id: int
    status: Status


class ListedImage(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"id": 1, "filename": "a.jpg", "status": "processed"}]})

    id: int
    filename: str
    status: Status


class Thumbnails(BaseModel):
    """Links to the thumbnails; null until the image is processed."""

    small: str | None = Field(None, description="A JPEG of at most 150 × 150 pixels.")
    medium: str | None = Field(None, description="A JPEG of at most 300 × 300 pixels.")


class ImageFacts(BaseModel):
    id: int
    filename: str
    metadata: dict[str, Any] = Field(
        description="`width`, `height`, `format` and `size_bytes` of the uploaded file, and its EXIF tags by name."
    )
    uploaded_at: str = Field(description="UTC, ISO 8601.")
    processed_at: str | None
    processing_time_s: float | None = Field(description="Seconds that the successful attempt took.")
    caption: str | None = Field(description="Null if the captioner is switched off.")
    tags: list[TagScore]


class ImageDetails(BaseModel):
    """All about one image. If its processing failed, the HTTP status is 400."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "processed",
                    "data": {
                        "id": 1,
                        "filename": "house.jpg",
                        "metadata": {"width": 275, "height": 232, "format": "JPEG", "size_bytes": 12345},
                        "uploaded_at": "2026-11-21T10:00:00+00:00",
                        "processed_at": "2026-11-21T10:00:01+00:00",
                        "processing_time_s": 0.86,
                        "caption": "a house with a red roof",
                        "tags": _TAGS,
                    },
                    "thumbnails": _THUMBNAILS,
                    "error": None,
                    "reason": None,
                }
            ]
        }
    )

    status: Status
    data: ImageFacts
    thumbnails: Thumbnails
    error: str | None = Field(description="`Processing Failure` if processing failed, otherwise null.")
    reason: str | None = Field(description="Why processing, or its last attempt, failed.")


class ThumbnailLinks(BaseModel):
    """A link to the requested thumbnail, and links to all of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": 1, "size": "small", "url": _THUMBNAILS["small"], "thumbnails": _THUMBNAILS}]
        }
    )

    id: int
    size: ThumbnailSize
    url: str
    thumbnails: Thumbnails


class ImageCounts(BaseModel):
    total_images: int
    processed_images: int
    failed_images: int
    processing_images: int


class Rates(BaseModel):
    """Percentages of the finished images, such as `84.62%`."""

    success_rate: str
    failure_rate: str


class CatalogueStats(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "images": {
                        "total_images": 14,
                        "processed_images": 11,
                        "failed_images": 2,
                        "processing_images": 1,
                    },
                    "average_processing_time": "0.86s",
                    "success_failures_rate": {"success_rate": "84.62%", "failure_rate": "15.38%"},
                }
            ]
        }
    )

    images: ImageCounts
    average_processing_time: str
    success_failures_rate: Rates


class SearchHit(BaseModel):
    id: int
    filename: str
    score: float = Field(description="Cosine similarity, −1 to 1.")
    caption: str | None
    tags: list[TagScore]
    thumbnails: Thumbnails


class SearchResults(BaseModel):
    """The images that were found, the best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "bundled/clip-scenes-v1",
                    "results": [
                        {
                            "id": 1,
                            "filename": "house.jpg",
                            "score": 0.31,
                            "caption": "a house with a red roof",
                            "tags": _TAGS,
                            "thumbnails": _THUMBNAILS,
                        }
                    ],
                }
            ]
        }
    )

    model: str = Field(description="The exact weights that computed the compared vectors.")
    results: list[SearchHit]
