"""The wire format of the catalogue's images."""

from collections.abc import Iterable

from deployments.catalogue.records import Hit, Image
from serve_app.schemas.answers.tags import tag_scores
from serve_app.schemas.catalogue import ImageDetails, ImageFacts, SearchHit, Thumbnails

PROCESSING_FAILURE = "Processing Failure"


def thumbnail_links(image: Image, base: str) -> Thumbnails:
    """The URLs of the thumbnails, None until the image is processed; `base` is the base URL of the request."""
    if image.status != "processed":
        return Thumbnails(small=None, medium=None)
    path = f"{base}/api/images/{image.id}/thumbnails"
    return Thumbnails(small=f"{path}/small/file", medium=f"{path}/medium/file")


def details(image: Image, base: str) -> ImageDetails:
    """Everything about an image."""
    facts = image.facts
    ours = {"width": facts.width, "height": facts.height, "format": facts.format, "size_bytes": image.size_bytes}
    return ImageDetails(
        status=image.status,
        data=ImageFacts(
            id=image.id,
            filename=image.filename,
            metadata={**ours, **{name: value for name, value in image.exif.items() if name not in ours}},
            uploaded_at=image.created_at.isoformat(),
            processed_at=None if image.processed_at is None else image.processed_at.isoformat(),
            processing_time_s=image.processing_time_s,
            caption=image.caption,
            tags=tag_scores(image.tags),
        ),
        thumbnails=thumbnail_links(image, base),
        error=PROCESSING_FAILURE if image.status == "failed" else None,
        reason=image.error,
    )


def hits(found: Iterable[Hit], images: Iterable[Image], base: str) -> list[SearchHit]:
    """The hits of a search, without images that were deleted meanwhile."""
    there = {image.id: image for image in images}
    return [
        SearchHit(
            id=image.id,
            filename=image.filename,
            score=hit.score,
            caption=image.caption,
            tags=tag_scores(image.tags),
            thumbnails=thumbnail_links(image, base),
        )
        for hit in found
        if (image := there.get(hit.image_id)) is not None
    ]
