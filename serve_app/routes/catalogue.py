"""Family E: uploads to the catalogue, what was found in them, and search by words or by an image."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse

from configs.types import CATALOGUE_FORMATS
from deployments.catalogue.errors import StoreUnavailable
from deployments.catalogue.records import Facts, Image, Order, Stats, Status
from deployments.catalogue.store.base import THUMBNAIL_SIZES, ThumbnailSize
from deployments.pictures.formats import BY_NAME, BY_PILLOW, kind_apart
from serve_app.features.catalogue_files import SHOWN_BY_ALL, jpeg_response, original_response, thumbnail_response
from serve_app.features.catalogue_views import PROCESSING_FAILURE, details, hits, thumbnail_links
from serve_app.http import paths
from serve_app.http.errors import ImageNotFound, InvalidImage, InvalidRequest, UnreadImage
from serve_app.http.links import base_url, prefers_image, shows
from serve_app.inputs.forms import ONE_FILE, open_form
from serve_app.routes.responses import (
    CATALOGUE_ERRORS,
    CATALOGUE_JPEG_ERRORS,
    CATALOGUE_SEARCH_ERRORS,
    CATALOGUE_UPLOAD_ERRORS,
    KEY_ERRORS,
    QUERY_ERRORS,
    Responses,
    answers,
)
from serve_app.schemas.catalogue import (
    Accepted,
    CatalogueStats,
    ImageDetails,
    ListedImage,
    SearchResults,
    ThumbnailLinks,
)
from serve_app.services import InjectedServices, Services, counted

if TYPE_CHECKING:
    from deployments.catalogue.opened import OpenCatalogue

paths.register()

router = APIRouter(prefix="/api", tags=["Catalogue"], responses=CATALOGUE_ERRORS | KEY_ERRORS | QUERY_ERRORS)

NO_FILE = "No file uploaded."
WRONG_TYPE = "Only JPEG and PNG files are allowed."
BROKEN = "Broken or corrupted image file."
WRONG_SIZE = "Invalid thumbnail size. Choose 'small' or 'medium'."
NOT_READY = "No thumbnails yet: the image is still being processed."

LISTED = [{"id": 1, "filename": "house.jpg", "status": "processed"}]
# How files begin, by Pillow's names of their formats; a HEIC or AVIF says so in more than one way.
MAGIC = {"JPEG": rb"\xff\xd8\xff", "PNG": rb"\x89PNG\r\n\x1a\n", "WEBP": rb"RIFF[\0-\xff]{4}WEBP"}
BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE: Responses = {200: {"content": {"image/jpeg": BINARY}}}
ORIGINAL: Responses = {200: {"content": {BY_NAME[name.upper()].media_type: BINARY for name in CATALOGUE_FORMATS}}}
UNCHANGED: Responses = {304: {"description": "The client's `If-None-Match` names this file."}}
FAILED: Responses = {
    400: {"model": ImageDetails, "description": PROCESSING_FAILURE + ": the same body, with the `reason`."}
}


async def read_upload(request: Request, services: InjectedServices) -> AsyncIterator[UploadFile]:
    """The `file` of a multipart form."""
    async with open_form(request, 1, {"file": {"files", "image", "images"}}) as form:
        file = form.one("file")
        if file is None:
            raise InvalidRequest(NO_FILE)
        if form.problem:
            raise InvalidRequest(form.problem)
        services.check_size(file.size or 0)
        yield file


Representation = Annotated[
    Literal["original", "jpeg"] | None, Query(alias="as", description="What to return whatever `Accept` says.")
]
Upload = Annotated[UploadFile, Depends(read_upload)]


def check_size(size: str) -> str:
    """Return the size unchanged.

    Raises:
        InvalidRequest: no thumbnail has this size.
    """
    if size not in THUMBNAIL_SIZES:
        raise InvalidRequest(WRONG_SIZE)
    return size


AskedSize = Annotated[ThumbnailSize, Depends(check_size)]


@router.post(
    "/images",
    status_code=202,
    summary="Upload an image",
    responses=CATALOGUE_UPLOAD_ERRORS,
    openapi_extra=ONE_FILE,
)
async def upload(file: Upload, services: InjectedServices) -> Accepted:
    """Store an image of one of CATALOGUE_FORMATS, which is recognised by its bytes, not its name.

    It is processed in the background after the answer.
    """
    async with counted("/api/images"), services.catalogue.open() as house, services.uploads:
        data = await file.read()
        facts = await _facts(services, data)
        image = await house.catalogue.add(file.filename, data, facts)
    services.catalogue.wake()
    return Accepted(image_id=image.id, status=image.status)


async def _facts(services: Services, data: bytes) -> Facts:
    """Decode an upload to its end, and return its format, width and height."""
    allowed = {BY_NAME[name.upper()].pillow for name in services.settings.catalogue.formats}
    kind = next((kind for kind, magic in MAGIC.items() if re.match(magic, data)), None) or kind_apart(data)
    if kind not in allowed:
        raise InvalidRequest(WRONG_TYPE if data else BROKEN)
    try:
        width, height = await services.decoder.check(data, kind)
    except UnreadImage as error:  # not broken, and sending it again would not help
        raise InvalidRequest(error.message) from error
    except InvalidImage as error:
        raise InvalidRequest(BROKEN) from error
    return Facts(BY_PILLOW[kind].name, width, height)


@router.get("/images", summary="List the images", responses=answers(LISTED))
async def list_images(
    request: Request,
    response: Response,
    services: InjectedServices,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[str | None, Query(max_length=100, description="From the `Link` of the previous page.")] = None,
    status: Status | None = None,
    order: Order = "oldest",
) -> list[ListedImage]:
    """List the images by age. `Link: <…>; rel="next"` leads to the next page; the last page has none."""
    async with services.catalogue.open() as house:
        page = await house.catalogue.list(limit=limit, cursor=cursor, status=status, order=order)
    if page.next_cursor is not None:
        query = urlencode({**request.query_params, "limit": limit, "cursor": page.next_cursor})
        response.headers["Link"] = f'<{base_url(request, services.settings)}/api/images?{query}>; rel="next"'
    return [ListedImage(id=image.id, filename=image.filename, status=image.status) for image in page.images]


@router.get("/stats", summary="Counts and rates of the catalogue")
async def stats(services: InjectedServices) -> CatalogueStats:
    """Count the images by status. Rates and the average time are over finished images only."""
    async with services.catalogue.open() as house:
        return _stats(await house.catalogue.stats())


def _stats(stats: Stats) -> CatalogueStats:
    return CatalogueStats.model_validate(
        {
            "images": {
                "total_images": stats.total,
                "processed_images": stats.processed,
                "failed_images": stats.failed,
                "processing_images": stats.processing,
            },
            "average_processing_time": f"{stats.average_processing_time_s:.2f}s",
            "success_failures_rate": {
                "success_rate": f"{stats.success_rate:.2%}",
                "failure_rate": f"{stats.failure_rate:.2%}",
            },
        }
    )


Count = Annotated[int, Query(ge=1, le=100, description="The largest number of results.")]
MinScore = Annotated[float, Query(ge=-1, le=1, allow_inf_nan=False, description="Images that score less are left out.")]


@router.get("/images/search", summary="Search by words", responses=CATALOGUE_SEARCH_ERRORS)
async def search_by_words(
    request: Request,
    services: InjectedServices,
    q: Annotated[str, Query(min_length=1, max_length=1000, description="What the images should show.")],
    k: Count = 10,
    min_score: MinScore = -1.0,
) -> SearchResults:
    """Find the processed images whose CLIP embeddings are nearest to that of the words."""
    async with counted("/api/images/search"), services.catalogue.open() as house:
        vectors = (await services.clip.embed_texts([q])).vectors
        return await _search(request, services, house, vectors[0], k, min_score)


@router.post("/images/search", summary="Search by an image", responses=CATALOGUE_UPLOAD_ERRORS, openapi_extra=ONE_FILE)
async def search_by_image(
    request: Request, file: Upload, services: InjectedServices, k: Count = 10, min_score: MinScore = -1.0
) -> SearchResults:
    """Find the processed images that are most similar to an image, which may have any format and is not stored."""
    services.clip.announce()
    async with counted("/api/images/search"), services.catalogue.open() as house:
        async with services.uploads:
            fitted = await services.fit_for_clip(await file.read())
        vectors = await services.clip.embed_images(fitted.pixels[np.newaxis])
        return await _search(request, services, house, vectors[0], k, min_score)


async def _search(
    request: Request, services: Services, house: "OpenCatalogue", vector: NDArray[np.float32], k: int, min_score: float
) -> SearchResults:
    weights = services.clip.weights.id
    found = await house.search.nearest(weights, vector, k, min_score)
    images = await house.catalogue.find([hit.image_id for hit in found])
    return SearchResults(model=weights, results=hits(found, images, base_url(request, services.settings)))


async def _image(services: Services, image_id: int) -> Image:
    async with services.catalogue.open() as house:
        return await house.catalogue.get(image_id)


@router.get(
    "/images/{image_id:number}", summary="Everything about an image", response_model=ImageDetails, responses=FAILED
)
async def image(image_id: int, request: Request, services: InjectedServices) -> Response:
    """Return the status of an image and all that is known about it. If its processing failed, the status is 400."""
    found = await _image(services, image_id)
    body = details(found, base_url(request, services.settings))
    return JSONResponse(body.model_dump(), 400 if found.status == "failed" else 200)


@router.delete("/images/{image_id:number}", status_code=204, summary="Delete an image")
async def delete(image_id: int, services: InjectedServices) -> None:
    """Delete an image with its thumbnails and vectors, and its file unless another image shares it."""
    async with services.catalogue.open() as house:
        # The image is deleted even if the store does not answer: a worker removes its file later.
        with contextlib.suppress(StoreUnavailable):
            await house.catalogue.delete(image_id)


@router.get(
    "/images/{image_id:number}/file",
    summary="The uploaded file, or a JPEG of it",
    response_class=Response,
    responses=ORIGINAL | UNCHANGED | CATALOGUE_JPEG_ERRORS,
)
async def original(
    image_id: int, request: Request, services: InjectedServices, representation: Representation = None
) -> Response:
    """Return the bytes that were uploaded, with an ETag.

    A browser that does not show their format gets an upright JPEG of the full size: one whose `Accept` names
    `text/html` or formats of pictures, but not this one. `?as=original` and `?as=jpeg` overrule `Accept`. A
    JPEG always comes as it was uploaded, and so does a PNG unless a JPEG is asked for by `?as=jpeg`.
    """
    async with services.catalogue.open() as house:
        found = await house.catalogue.get(image_id)
        kind = BY_NAME[found.facts.format]
        shown = kind.name in SHOWN_BY_ALL or shows(request.headers.get("accept", ""), kind.media_type)
        wanted = representation or ("original" if shown else "jpeg")
        if wanted == "jpeg" and kind.name != "JPEG":
            response = await jpeg_response(request, services, house, found)
        else:
            response = await original_response(request, house.store, found)
    response.headers["Vary"] = "Accept"
    return response


@router.get(
    "/images/{image_id:number}/thumbnails/{size}",
    summary="A thumbnail, or its link",
    response_model=ThumbnailLinks,
    responses=PICTURE | UNCHANGED,
)
async def thumbnail(image_id: int, size: AskedSize, request: Request, services: InjectedServices) -> Response:
    """Return links as JSON, or the picture itself if `Accept` prefers `image/*`, as a browser's `<img>` does."""
    if prefers_image(request.headers.get("accept", "")):
        response = await thumbnail_file(image_id, size, request, services)
    else:
        found = _with_thumbnails(await _image(services, image_id))
        links = thumbnail_links(found, base_url(request, services.settings))
        url = str(links.small if size == "small" else links.medium)
        body = ThumbnailLinks(id=found.id, size=size, url=url, thumbnails=links)
        response = JSONResponse(body.model_dump(), headers={"Cache-Control": "no-cache"})
    response.headers["Vary"] = "Accept"
    return response


@router.get(
    "/images/{image_id:number}/thumbnails/{size}/file",
    summary="A thumbnail",
    response_class=Response,
    responses=PICTURE | UNCHANGED,
)
async def thumbnail_file(image_id: int, size: AskedSize, request: Request, services: InjectedServices) -> Response:
    """Return a JPEG of at most 150 (`small`) or 300 (`medium`) pixels per side, with an ETag and without EXIF."""
    async with services.catalogue.open() as house:
        found = _with_thumbnails(await house.catalogue.get(image_id))
        return await thumbnail_response(request, house.store, found, size)


def _with_thumbnails(image: Image) -> Image:
    if image.status == "failed":
        raise InvalidRequest(PROCESSING_FAILURE)
    if image.status == "processing":
        raise ImageNotFound(NOT_READY, retry_after_s=1)
    return image
