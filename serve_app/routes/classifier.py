"""Family A: is this picture a map or an aerial photo? And the health of everything."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, File, Response, UploadFile

from configs.prompts import CATEGORIES, load_prompts
from deployments.zero_shot import softmax
from serve_app.routes.responses import MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.classifier import Classification, Health, ModelHealth, Probabilities
from serve_app.services import Services, Wired, counted
from serve_app.version import VERSION

router = APIRouter(tags=["Classifier"])

MAP_THRESHOLD = 0.4
MISCELLANEOUS_THRESHOLD = 0.6


@router.get("/health", summary="Health of the service and of each model", responses={503: {"model": Health}})
async def health(services: Wired, response: Response) -> Health:
    """Never asks for a key; 503 when CLIP is enabled and does not answer."""
    report = await report_health(services)
    if report.status == "unhealthy":
        response.status_code = 503
    return report


@router.post(
    "/classify", summary="Classify one image: map, aerial photo or neither", responses=UPLOAD_ERRORS | MODEL_ERRORS
)
async def classify(services: Wired, file: Annotated[UploadFile, File(description="The image.")]) -> Classification:
    """One softmax over the three categories, each the ensemble of its prompts in the served prompt set."""
    async with counted("/classify"):
        data = await file.read()
        image = await services.fit_for_clip(data)
        prompts = load_prompts().classifier[services.settings.prompt_set]
        logits = await services.clip.score(image.pixels[None], [list(prompts[category]) for category in CATEGORIES])
        return decide(file.filename or "", len(data), softmax(logits[0]).tolist())


def decide(filename: str, size: int, probabilities: list[float]) -> Classification:
    """The answer for the probabilities of `CATEGORIES`."""
    maps, aerial, miscellaneous = probabilities
    wanted = (maps > MAP_THRESHOLD or aerial > MAP_THRESHOLD) and miscellaneous < MISCELLANEOUS_THRESHOLD
    confidence, category = max(zip(probabilities, CATEGORIES, strict=True))
    return Classification(
        filename=filename,
        file_size_bytes=size,
        is_map_or_aerial=wanted,
        confidence=confidence,
        classification=category,
        probabilities=Probabilities(maps=maps, aerial_satellite=aerial, miscellaneous=miscellaneous),
        would_download=wanted,
        timestamp=datetime.now(UTC).isoformat(),
    )


async def report_health(services: Services) -> Health:
    """Every model's state; CLIP decides whether the service is healthy."""
    state = await services.clip.state()
    loaded = state.status is not None
    clip = ModelHealth(
        name="clip",
        loaded=loaded,
        load_time_ms=state.status.load_time_ms if state.status else None,
        error=state.error,
        weights=services.clip.weights.id if services.clip.enabled else None,
        replicas=state.replicas,
    )
    return Health(
        status="ok" if loaded else "unhealthy" if services.clip.enabled else "degraded",
        version=VERSION,
        environment=services.settings.environment,
        uptime_seconds=round(time.time() - services.started_at, 3),
        models=[clip],
        classifier="loaded" if loaded else "failed",
        message=services.clip.weights.statement if loaded else f"CLIP: {state.error}",
    )
