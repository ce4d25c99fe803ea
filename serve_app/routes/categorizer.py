"""Family B: sort images into categories, and find the best image for each category."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from numpy.typing import NDArray
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from configs.prompts import load_prompts
from deployments.runtime.foreign import foreign
from serve_app.features.video import best_frames
from serve_app.http.errors import InvalidImage, InvalidRequest, PanoptesError, TooLarge
from serve_app.inputs.categories import category_lengths, parse_categories
from serve_app.inputs.images import Decoded
from serve_app.page.pages import form_page
from serve_app.routes.responses import CATEGORIZER_ERRORS, KEY_ERRORS, QUERY_ERRORS, answers
from serve_app.services import InjectedServices, Services, counted, gather_bounded, stack

router = APIRouter(tags=["Categorizer"])

IMAGE_EXTENSIONS = ["png", "jpg", "jpeg"]
CATEGORY_EXTENSIONS = ["csv", "json"]
VIDEO_EXTENSIONS = ["mp4"]

FILES_SCHEMA = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": "png, jpg or jpeg."}
CATEGORIES_SCHEMA = {
    "type": "string",
    "format": "binary",
    "description": '.json with {"categories": […]} or a list, or .csv.',
}


VIDEO_SCHEMA = {"type": "string", "format": "binary", "description": "mp4."}


def _form(required: list[str]) -> dict[str, Any]:
    files = {"video": VIDEO_SCHEMA} if "video" in required else {"files": FILES_SCHEMA}
    schema = {"type": "object", "required": required, "properties": files | {"categories": CATEGORIES_SCHEMA}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def read_form(request: Request, services: InjectedServices) -> AsyncIterator[FormData]:
    """The multipart form of a request. Large files are spooled to disk until the answer is made."""
    most = services.settings.limits.max_files
    try:
        form = await request.form(max_files=most + 1, max_fields=10)
    except PanoptesError:
        raise
    except HTTPException as error:  # raised by Starlette if the form cannot be parsed
        if "Too many files" in error.detail:
            raise TooLarge(f"At most {most} files at once: send several requests.") from error
        raise InvalidRequest(f"The form cannot be read: {foreign(error.detail)}") from error
    try:
        yield form
    finally:
        await form.close()


Form = Annotated[FormData, Depends(read_form)]


@router.post(
    "/categorize",
    status_code=201,
    summary="The best category for each image",
    responses=CATEGORIZER_ERRORS | answers({"apple.jpg": "an apple", "pug.jpg": "a dog"}, 201),
    openapi_extra=_form(["files"]),
)
async def categorize(form: Form, services: InjectedServices) -> dict[str, str]:
    """Return filename → category. Without `categories`, the default list in configs/prompts.yaml is used."""
    files = _images(form, services)
    categories = await _categories(form, services) if _sent(form, "categories") else list(load_prompts().categories)
    logits = await _score(services, "/categorize", files, categories)
    return {name: categories[best] for name, best in zip(_unique_names(files), logits.argmax(axis=1), strict=True)}


@router.post(
    "/image",
    status_code=201,
    summary="The best image for each category",
    responses=CATEGORIZER_ERRORS | answers({"an apple": "apple.jpg", "a dog": "pug.jpg"}, 201),
    openapi_extra=_form(["files", "categories"]),
)
async def image(form: Form, services: InjectedServices) -> dict[str, str]:
    """Return category → filename."""
    files = _images(form, services)
    categories = await _categories(form, services)
    logits = await _score(services, "/image", files, categories)
    names = _unique_names(files)
    return {category: names[best] for category, best in zip(categories, logits.argmax(axis=0), strict=True)}


@router.post(
    "/video",
    status_code=201,
    summary="The best frame of a video for each category",
    responses=CATEGORIZER_ERRORS
    | QUERY_ERRORS
    | answers(
        {"an apple": ["frame_000012.000s.jpg", "<base64 of the JPEG>"], "a dog": ["frame_000003.000s.jpg", "…"]}, 201
    ),
    openapi_extra=_form(["video", "categories"]),
)
async def video(form: Form, services: InjectedServices, details: bool = False) -> dict[str, Any]:
    """Return category → [filename, base64 JPEG]; the filename tells the second. A frame is sampled every VIDEO_STEP_S.

    With `details=true`, return category → {filename, timestamp_s, score, image}. The score is the probability of the
    category for that frame, among all categories.
    """
    file = _video_file(form)
    categories = await _categories(form, services)
    best = await best_frames(services, await _read_video(file, services), categories)
    if not details:
        return {category: [frame.filename, frame.image] for category, frame in best.items()}
    return {category: vars(frame) | {"filename": frame.filename} for category, frame in best.items()}


def _video_file(form: FormData) -> UploadFile:
    file = form.get("video")
    if not isinstance(file, UploadFile) or not file.filename:
        raise InvalidRequest("No file selected, please select a video file")
    if _extension(file) not in VIDEO_EXTENSIONS:
        raise InvalidRequest("Invalid extension, allowed extensions are: {'mp4'}")
    return file


async def _read_video(file: UploadFile, services: Services) -> bytes:
    data = await file.read()
    if len(data) > services.settings.video.max_bytes:
        raise TooLarge(f"A video may have at most {services.settings.video.max_mb:g} MB: send a smaller one.")
    return data


@router.get("/categorize", summary="A form to try /categorize", response_class=HTMLResponse, responses=KEY_ERRORS)
async def categorize_form() -> HTMLResponse:
    return form_page("categorize", "Sort images into categories", categories_required=False)


@router.get("/video", summary="A form to try /video", response_class=HTMLResponse, responses=KEY_ERRORS)
async def video_form() -> HTMLResponse:
    return form_page("video", "Find the best frame for each category", categories_required=True)


@router.get("/image", summary="A form to try /image", response_class=HTMLResponse, responses=KEY_ERRORS)
async def image_form() -> HTMLResponse:
    return form_page("image", "Find the best image for each category", categories_required=True)


def _sent(form: FormData, field: str) -> bool:
    """Whether a field was sent with a value. A browser sends an empty file field as a file without a name."""
    value = form.get(field)
    return bool(value.filename) if isinstance(value, UploadFile) else bool(value)


def _images(form: FormData, services: Services) -> list[UploadFile]:
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    if not files:
        raise InvalidRequest("No image file selected")
    if len(files) > services.settings.limits.max_files:
        raise TooLarge(f"At most {services.settings.limits.max_files} files at once: send several requests.")
    if not all(_extension(file) in IMAGE_EXTENSIONS for file in files):
        raise InvalidRequest(f"Invalid extension, allowed extensions are: {IMAGE_EXTENSIONS}")
    return files


async def _categories(form: FormData, services: Services) -> list[str]:
    file = form.get("categories")
    if not isinstance(file, UploadFile) or not file.filename:
        raise InvalidRequest("No file selected, please select a categories file")
    extension = _extension(file)
    if extension not in CATEGORY_EXTENSIONS:
        raise InvalidRequest(f"Invalid extension, allowed extensions are: {CATEGORY_EXTENSIONS}")
    categories = parse_categories(file.filename, extension, await file.read())
    if len(categories) > services.settings.limits.max_categories:
        raise TooLarge(f"At most {services.settings.limits.max_categories} categories at once: send several requests.")
    return categories


def _extension(file: UploadFile) -> str:
    return (file.filename or "").rpartition(".")[2].lower()


def _unique_names(files: list[UploadFile]) -> list[str]:
    """The names of the files, in order; the second `a.jpg` becomes `a.jpg (2)`."""
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        name, number = file.filename or "", 1
        while name in taken:
            number += 1
            name = f"{file.filename} ({number})"
        taken.add(name)
        names.append(name)
    return names


async def _score(services: Services, route: str, files: list[UploadFile], categories: list[str]) -> NDArray[np.float32]:
    """The logits of all files for all categories, (files, categories) float32."""

    async def fit(file: UploadFile) -> Decoded:
        try:
            return await services.fit_for_clip(await file.read())
        except InvalidRequest as error:
            raise InvalidImage(f"Invalid image, the file {file.filename} seems to be broken") from error

    template = load_prompts().template
    async with counted(route, len(files)):
        images = await gather_bounded(files, fit, services.settings.ingress.decode_threads)
        with category_lengths():
            classes = [[template.format(category)] for category in categories]
            return await services.clip.score(stack(images), classes)
