"""Whether the service runs, whether it is ready, and how its models are."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

HEALTH_EXAMPLE: dict[str, JsonValue] = {
    "status": "ok",
    "version": "0.1.0",
    "environment": "production",
    "uptime_seconds": 512.25,
    "models": [
        {
            "name": "clip",
            "loaded": True,
            "load_time_ms": 4126.3,
            "error": None,
            "weights": "openai/clip-vit-base-patch32",
            "replicas": 1,
            "state": "ok",
            "age_s": 0.0,
        }
    ],
    "classifier": "loaded",
    "message": "openai/clip-vit-base-patch32 from the Hugging Face hub, revision newest.",
}


class Alive(BaseModel):
    """The answer of GET /livez."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """The answer of GET /readyz. While it is starting, the HTTP status is 503."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready", "starting": []}]})

    status: Literal["ready", "starting"]
    starting: list[str] = Field(description="The enabled deployments whose models have not been loaded yet.")


class ModelHealth(BaseModel):
    """The health of one model. `weights` is the exact id that is served, null if the model is switched off."""

    name: str
    loaded: bool = Field(description="Whether the model has been loaded and is served, at once or after a wait.")
    load_time_ms: float | None = None
    error: str | None = None
    weights: str | None = None
    replicas: int = 0
    state: Literal["ok", "busy", "failed", "away", "off"] = Field(
        description="ok: it answers; busy: it runs, and has not answered within a second; failed: it answers that it "
        "cannot work, `error` says why; away: it has not started, or is being replaced; off: it is switched off."
    )
    age_s: float | None = Field(
        None, description="How many seconds ago this was known; null where nothing is known of the model yet."
    )


class Health(BaseModel):
    """The health of the application. If it is unhealthy, the HTTP status is 503."""

    model_config = ConfigDict(json_schema_extra={"examples": [HEALTH_EXAMPLE]})

    status: Literal["ok", "busy", "degraded", "unhealthy"] = Field(
        description="ok: CLIP is enabled, and every enabled model answers; busy: as ok, but at least one is too busy "
        "to answer in time; unhealthy: CLIP is enabled and away; degraded: otherwise.",
    )
    version: str
    environment: str
    uptime_seconds: float
    models: list[ModelHealth]
    classifier: Literal["loaded", "failed"]
    message: str
