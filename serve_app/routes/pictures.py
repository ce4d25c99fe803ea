"""The new routes of one model each: a caption, tags, objects."""

from typing import Any

from fastapi import APIRouter

from serve_app.clients.handles import ModelClient
from serve_app.features.descriptions import (
    Answered,
    ask_captioner,
    ask_detector,
    ask_tagger,
    counts,
    detected,
    tag_scores,
)
from serve_app.routes.responses import FETCH_ERRORS, MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.pictures import (
    CaptionResponse,
    ObjectsResponse,
    PictureRequest,
    TagsRequest,
    TagsResponse,
)
from serve_app.services import Wired, counted

router = APIRouter(prefix="/v1", tags=["Resources"], responses=UPLOAD_ERRORS | FETCH_ERRORS | MODEL_ERRORS)


@router.post("/caption", summary="Describe one image in a sentence")
async def caption(request: PictureRequest, services: Wired) -> CaptionResponse:
    """BLIP, the most probable word at each place."""
    services.models.captioner.announce()
    async with counted("/v1/caption"):
        found = await ask_captioner(services, await services.read(request.image))
    return CaptionResponse(**_about(services.models.captioner, request, found), caption=found.value)


@router.post("/tags", summary="The most probable labels of one image")
async def tags(request: TagsRequest, services: Wired) -> TagsResponse:
    """An image classifier's labels, ImageNet's with the default weights."""
    services.models.tagger.announce()
    async with counted("/v1/tags"):
        found = await ask_tagger(services, await services.read(request.image), request.num_labels)
    return TagsResponse(**_about(services.models.tagger, request, found), tags=tag_scores(found.value))


@router.post("/objects", summary="The things in one image, with their places")
async def objects(request: PictureRequest, services: Wired) -> ObjectsResponse:
    """Florence-2's object detection."""
    services.models.detector.announce()
    async with counted("/v1/objects"):
        found = await ask_detector(services, await services.read(request.image))
    return ObjectsResponse(
        **_about(services.models.detector, request, found),
        objects=detected(found.value, found.width, found.height),
        counts=counts(found.value),
    )


def _about(client: ModelClient, request: PictureRequest, found: Answered[Any]) -> dict[str, Any]:
    """What every answer about one image says."""
    size = {"width_px": found.width, "height_px": found.height}
    return {"model": client.models[0].id, "image_id": request.image.image_id, **size}
