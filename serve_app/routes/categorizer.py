"""Family B: sort images into categories, and find the best image for each category."""

import asyncio
import logging
import mmap
from collections.abc import AsyncIterator, Collection
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse

from configs.prompts import load_prompts
from serve_app.features.video import best_frames
from serve_app.http.errors import InvalidImage, InvalidRequest, InvalidVideo, TooLarge, UnreadImage
from serve_app.inputs.categories import MOST_BYTES, category_lengths, parse_categories
from serve_app.inputs.forms import SPOOLED, Fields, Form, open_form, text_sent
from serve_app.inputs.images import Decoded
from serve_app.page.pages import form_page
from serve_app.routes.responses import CATEGORIZER_ERRORS, KEY_ERRORS, QUERY_ERRORS, answers
from serve_app.services import InjectedServices, Services, counted, gather_bounded, stack

logger = logging.getLogger("ray.serve.panoptes.categorizer")

router = APIRouter(tags=["Categorizer"])

IMAGE_EXTENSIONS = ["png", "jpg", "jpeg"]
CATEGORY_EXTENSIONS = ["csv", "json"]
VIDEO_EXTENSIONS = {"mp4"}  # a set, as it is written in the error

CATEGORIES = {"category", "labels"}
PICTURE_FIELDS: Fields = {"files": {"file", "image", "images"}, "categories": CATEGORIES}
VIDEO_FIELDS: Fields = {"video": {"videos", "file", "files"}, "categories": CATEGORIES}

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


async def read_pictures(request: Request, services: InjectedServices) -> AsyncIterator[Form]:
    """The form of a request: MAX_FILES images and the categories."""
    async with open_form(request, services.settings.limits.max_files + 1, PICTURE_FIELDS) as form:
        yield _checked(form)


async def read_video(request: Request) -> AsyncIterator[Form]:
    """The form of a request: a video and the categories."""
    async with open_form(request, 2, VIDEO_FIELDS) as form:
        yield _checked(form)


def _checked(form: Form) -> Form:
    """Return the form unchanged; InvalidRequest for a part that is in no field or is no file."""
    for name in form.files:
        if name in form.texts:
            raise InvalidRequest(text_sent(name) if name == "files" else _missing(name))
    if form.problem:
        raise InvalidRequest(form.problem)
    return form


PictureForm = Annotated[Form, Depends(read_pictures)]
VideoForm = Annotated[Form, Depends(read_video)]


@router.post(
    "/categorize",
    status_code=201,
    summary="The best category for each image",
    responses=CATEGORIZER_ERRORS | answers({"apple.jpg": "an apple", "pug.jpg": "a dog"}, 201),
    openapi_extra=_form(["files"]),
)
async def categorize(form: PictureForm, services: InjectedServices) -> dict[str, str]:
    """Return filename → category. Without `categories`, the default list in configs/prompts.yaml is used."""
    files = _images(form, services)
    categories = await _categories(form, services) if form.files["categories"] else list(load_prompts().categories)
    logits = await _score(services, "/categorize", files, categories)
    return {name: categories[best] for name, best in zip(_unique_names(files), logits.argmax(axis=1), strict=True)}


@router.post(
    "/image",
    status_code=201,
    summary="The best image for each category",
    responses=CATEGORIZER_ERRORS | answers({"an apple": "apple.jpg", "a dog": "pug.jpg"}, 201),
    openapi_extra=_form(["files", "categories"]),
)
async def image(form: PictureForm, services: InjectedServices) -> dict[str, str]:
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
async def video(form: VideoForm, services: InjectedServices, details: bool = False) -> dict[str, Any]:
    """Return category → [filename, base64 JPEG]; the filename tells the second. A frame is sampled every VIDEO_STEP_S.

    With `details=true`, return category → {filename, timestamp_s, score, image}. The score is the probability of the
    category for that frame, among all categories.
    """
    file = _only_file(form, "video", VIDEO_EXTENSIONS)
    categories = await _categories(form, services)
    try:
        best = await best_frames(services, await _read_video(file, services), categories)
    except InvalidVideo as error:
        logger.info("A video cannot be read: %s", error.message)
        raise InvalidVideo(f"Invalid video, the file {file.filename} seems to be broken") from error
    if not details:
        return {category: [frame.filename, frame.image] for category, frame in best.items()}
    return {category: vars(frame) | {"filename": frame.filename} for category, frame in best.items()}


def _missing(name: str) -> str:
    return f"No file selected, please select a {name} file"


def _only_file(form: Form, name: str, extensions: Collection[str]) -> UploadFile:
    """The file of a field that takes one, with one of these extensions."""
    file = form.one(name)
    if file is None:
        raise InvalidRequest(_missing(name))
    _check_name(file, name, extensions)
    return file


def _check_name(file: UploadFile, name: str, extensions: Collection[str]) -> None:
    if not file.filename:
        raise InvalidRequest(f'A file in the part "{name}" has no name: curl -F {name}=@FILE sends it with its own.')
    if _extension(file) not in extensions:
        raise InvalidRequest(f"Invalid extension, allowed extensions are: {extensions}")


async def _read_video(file: UploadFile, services: Services) -> bytes | mmap.mmap:
    """The bytes of a video; those of a large one stay in its file on disk."""
    size = file.size or 0
    if size > services.settings.video.max_bytes:
        raise TooLarge(f"A video may have at most {services.settings.video.max_mb:g} MB: send a smaller one.")
    if size <= SPOOLED:
        return await file.read()
    return mmap.mmap(file.file.fileno(), size, access=mmap.ACCESS_READ)


@router.get("/categorize", summary="A form to try /categorize", response_class=HTMLResponse, responses=KEY_ERRORS)
async def categorize_form() -> HTMLResponse:
    return form_page("categorize", "Sort images into categories", categories_required=False)


@router.get("/video", summary="A form to try /video", response_class=HTMLResponse, responses=KEY_ERRORS)
async def video_form() -> HTMLResponse:
    return form_page("video", "Find the best frame for each category", categories_required=True)


@router.get("/image", summary="A form to try /image", response_class=HTMLResponse, responses=KEY_ERRORS)
async def image_form() -> HTMLResponse:
    return form_page("image", "Find the best image for each category", categories_required=True)


def _images(form: Form, services: Services) -> list[UploadFile]:
    files = form.files["files"]
    if not files:
        raise InvalidRequest("No image file selected")
    if len(files) > services.settings.limits.max_files:
        raise TooLarge(f"At most {services.settings.limits.max_files} files at once: send several requests.")
    for file in files:
        _check_name(file, "files", IMAGE_EXTENSIONS)
    return files


async def _categories(form: Form, services: Services) -> list[str]:
    file = _only_file(form, "categories", CATEGORY_EXTENSIONS)
    if (file.size or 0) > MOST_BYTES:
        raise TooLarge(f"A categories file may have at most {MOST_BYTES >> 20} MB: send fewer or shorter categories.")
    categories = await asyncio.to_thread(parse_categories, file.filename or "", _extension(file), await file.read())
    if len(categories) > services.settings.limits.max_categories:
        raise TooLarge(f"At most {services.settings.limits.max_categories} categories at once: send several requests.")
    return categories


def _extension(file: UploadFile) -> str:
    _, dot, extension = (file.filename or "").rpartition(".")
    return extension.strip().lower() if dot else ""


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
        except UnreadImage as error:
            raise InvalidImage(f"Invalid image, the file {file.filename}: {error.message}") from error
        except InvalidRequest as error:
            raise InvalidImage(f"Invalid image, the file {file.filename} seems to be broken") from error

    template = load_prompts().template
    async with counted(route, len(files)):
        images = await gather_bounded(files, fit, services.settings.ingress.decode_threads)
        with category_lengths():
            classes = [[template.format(category)] for category in categories]
            return await services.clip.score(stack(images), classes)
