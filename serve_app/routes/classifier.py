"""Family A: the classifier of maps and aerial photos, and the health of the service."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import UploadFile

from serve_app.clients.client import ModelClient, ModelState
from serve_app.features.classification import prompt_set
from serve_app.http.errors import invalid
from serve_app.inputs.forms import ONE_FILE, open_form
from serve_app.routes.responses import MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.classifier import Classification, Health, ModelHealth, Probabilities
from serve_app.services import InjectedServices, Services, counted
from serve_app.version import VERSION

router = APIRouter(tags=["Classifier"])

MOST_FILES = 10  # clients may send others beside `file`


@router.get("/health", summary="Health of the service and of each model", responses={503: {"model": Health}})
@router.get("/v1/health", summary="The same as /health", responses={503: {"model": Health}}, tags=["Analysis"])
async def health(services: InjectedServices, response: Response) -> Health:
    """Report the health of all models. Needs no API key. The status is 503 if CLIP is enabled but does not answer."""
    report = await report_health(services)
    if report.status == "unhealthy":
        response.status_code = 503
    return report


async def read_file(request: Request) -> AsyncIterator[UploadFile]:
    """The `file` of a multipart form; ValidationFailed without one."""
    async with open_form(request, MOST_FILES) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid(
                [{"loc": ("body", "file"), "msg": "Field required: send a file in a form", "type": "missing"}]
            )
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


async def report_health(services: Services) -> Health:
    """The state of every model. CLIP decides whether the service is healthy, the others whether it is degraded."""
    clients = services.models.all()
    states = await asyncio.gather(*(client.state() for client in clients))
    known = list(zip(clients, states, strict=True))
    models = [model for client, state in known for model in _models(client, state)]
    clip = next(state for client, state in known if client is services.clip)
    answers = [bool(state.statuses) for client, state in known if client.enabled]
    if services.clip.enabled and not clip.statuses:
        status: Literal["ok", "degraded", "unhealthy"] = "unhealthy"
    else:
        status = "ok" if all(answers) and services.clip.enabled else "degraded"
    return Health(
        status=status,
        version=VERSION,
        environment=services.settings.service.environment,
        uptime_seconds=round(time.time() - services.started_at, 3),
        models=models,
        classifier="loaded" if clip.statuses else "failed",
        message=services.clip.models[0].statement if clip.statuses else f"CLIP: {clip.error}",
    )


def _models(client: ModelClient, state: ModelState) -> list[ModelHealth]:
    if not client.enabled:
        return [ModelHealth(name=name, loaded=False, error=state.error) for name in client.spec.models]
    if state.statuses is None:
        return [
            ModelHealth(name=model.name, loaded=False, error=state.error, weights=model.id, replicas=state.replicas)
            for model in client.models
        ]
    return [
        ModelHealth(
            name=model.name,
            loaded=status.error is None,
            load_time_ms=status.load_time_ms,
            error=status.error,
            weights=model.id,
            replicas=state.replicas,
        )
        for model, status in zip(client.models, state.statuses, strict=True)
    ]
