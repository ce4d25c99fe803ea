"""The new routes of one model each: a caption, tags, objects."""

from fastapi import APIRouter

from serve_app.descriptions import (
    CAPTIONER_SIDE,
    DETECTOR_SIDE,
    TAGGER_SIDE,
    ask,
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
    captioner = services.models.captioner
    captioner.announce()
    async with counted("/v1/caption"):
        text, image = await ask(services, captioner, await services.read(request.image), CAPTIONER_SIDE)
    return CaptionResponse(
        model=captioner.models[0].id,
        image_id=request.image.image_id,
        width_px=image.width,
        height_px=image.height,
        caption=text,
    )


@router.post("/tags", summary="The most probable labels of one image")
async def tags(request: TagsRequest, services: Wired) -> TagsResponse:
    """An image classifier's labels, ImageNet's with the default weights."""
    tagger = services.models.tagger
    tagger.announce()
    async with counted("/v1/tags"):
        data = await services.read(request.image)
        found, image = await ask(services, tagger, data, TAGGER_SIDE, request.num_labels)
    return TagsResponse(
        model=tagger.models[0].id,
        image_id=request.image.image_id,
        width_px=image.width,
        height_px=image.height,
        tags=tag_scores(found),
    )


@router.post("/objects", summary="The things in one image, with their places")
async def objects(request: PictureRequest, services: Wired) -> ObjectsResponse:
    """Florence-2's object detection."""
    detector = services.models.detector
    detector.announce()
    async with counted("/v1/objects"):
        found, image = await ask(services, detector, await services.read(request.image), DETECTOR_SIDE)
    return ObjectsResponse(
        model=detector.models[0].id,
        image_id=request.image.image_id,
        width_px=image.width,
        height_px=image.height,
        objects=detected(found, image.width, image.height),
        counts=counts(found),
    )
