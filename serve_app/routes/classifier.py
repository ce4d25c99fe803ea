"""Family A: the classifier of maps and aerial photos."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile

from serve_app.features.classification import prompt_set
from serve_app.http.errors import invalid
from serve_app.inputs.forms import ONE_FILE, open_form, text_sent
from serve_app.routes.responses import MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.classifier import Classification, Probabilities
from serve_app.services import InjectedServices, counted

router = APIRouter(tags=["Classifier"])


async def read_file(request: Request) -> AsyncIterator[UploadFile]:
    """The `file` of a multipart form; ValidationFailed without one, and with a file under another name."""
    async with open_form(request, 1, {"file": frozenset()}) as form:
        file = form.one("file")
        if file is None or form.problem:
            why = form.problem or (text_sent("file") if form.texts else "Field required: send a file in a form")
            raise invalid([{"loc": ("body", "file"), "msg": why, "type": "missing"}])
        yield file


@router.post(
    "/classify",
    summary="Classify one image: map, aerial photo or neither",
    responses=UPLOAD_ERRORS | MODEL_ERRORS,
    openapi_extra=ONE_FILE,
)
async def classify(services: InjectedServices, file: Annotated[UploadFile, Depends(read_file)]) -> Classification:
    """Classify one image by a softmax over three categories. Each category is an ensemble of the configured prompts."""
    async with counted("/classify"):
        data = await file.read()
        image = await services.fit_for_clip(data)
        found = await services.clip.classify(image.pixels[None], prompt_set(services.settings))
        [decision] = found.decisions
        return Classification(
            filename=file.filename or "",
            file_size_bytes=len(data),
            is_map_or_aerial=decision.is_map_or_aerial,
            confidence=decision.confidence,
            classification=decision.category,
            probabilities=Probabilities(**decision.probabilities),
            would_download=decision.is_map_or_aerial,
            timestamp=datetime.now(UTC).isoformat(),
        )
