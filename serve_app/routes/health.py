"""Whether the service runs (/livez), whether it is ready (/readyz), and how its models are (/health).

Nothing here needs an API key, and nothing takes 3 s, whatever the models do.
"""

import asyncio
import time
from typing import Literal

from fastapi import APIRouter, Response

from deployments.runtime.worker import ModelStatus
from serve_app.clients.client import ModelClient, ModelState
from serve_app.schemas.health import Alive, Health, ModelHealth, Readiness
from serve_app.services import InjectedServices, Services
from serve_app.version import VERSION

router = APIRouter(tags=["Health"])


@router.get("/livez", summary="Whether the service runs")
async def livez() -> Alive:
    """Answers whenever an ingress runs. Asks no model: probe it to decide whether to restart."""
    return Alive()


@router.get("/readyz", summary="Whether the enabled models have been loaded", responses={503: {"model": Readiness}})
async def readyz(services: InjectedServices, response: Response) -> Readiness:
    """200 once every enabled model has been loaded, 503 before. Once ready it stays ready, also under load."""
    starting = await services.models.starting()
    if starting:
        response.status_code = 503
    return Readiness(status="starting" if starting else "ready", starting=list(starting))


@router.get("/health", summary="Health of the service and of each model", responses={503: {"model": Health}})
@router.get("/v1/health", summary="The same as /health", responses={503: {"model": Health}}, tags=["Analysis"])
async def health(services: InjectedServices, response: Response) -> Health:
    """Report how all models are, within 3 s; of a busy one, what was last known. 503 if CLIP is enabled and away."""
    report = await report_health(services)
    if report.status == "unhealthy":
        response.status_code = 503
    return report


async def report_health(services: Services) -> Health:
    """The state of every model. CLIP decides whether the service is healthy, the others whether it is degraded."""
    clients = services.models.all()
    states = await asyncio.gather(*(client.state() for client in clients))
    known = list(zip(clients, states, strict=True))
    clip = next(state for client, state in known if client is services.clip)
    return Health(
        status=_overall(services.clip, clip, [state for client, state in known if client.enabled]),
        version=VERSION,
        environment=services.settings.service.environment,
        uptime_seconds=round(time.time() - services.started_at, 3),
        models=[model for client, state in known for model in _models(client, state)],
        classifier="loaded" if clip.loaded else "failed",
        message=services.clip.models[0].statement if clip.loaded else f"CLIP: {clip.error}",
    )


def _overall(
    clip: ModelClient, clip_state: ModelState, enabled: list[ModelState]
) -> Literal["ok", "busy", "degraded", "unhealthy"]:
    if clip.enabled and not clip_state.statuses and not clip_state.busy:
        return "unhealthy"
    if not clip.enabled or not all(state.statuses or state.busy for state in enabled):
        return "degraded"
    return "busy" if any(state.busy for state in enabled) else "ok"


def _models(client: ModelClient, state: ModelState) -> list[ModelHealth]:
    if not client.enabled:
        return [ModelHealth(name=name, loaded=False, error=state.error, state="off") for name in client.spec.models]
    statuses: tuple[ModelStatus | None, ...] = state.statuses or (None,) * len(client.models)
    return [
        ModelHealth(
            name=model.name,
            loaded=state.loaded and not (status and status.error),
            load_time_ms=status.load_time_ms if status else None,
            error=state.error or (status.error if status else None),
            weights=model.id,
            replicas=state.replicas,
            state=_state(state, status),
            age_s=None if state.age_s is None else round(state.age_s, 1),
        )
        for model, status in zip(client.models, statuses, strict=True)
    ]


def _state(state: ModelState, status: ModelStatus | None) -> Literal["ok", "busy", "failed", "away"]:
    if state.busy:
        return "busy"
    if status is None:
        return "away"
    return "failed" if status.error else "ok"
