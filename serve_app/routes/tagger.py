"""Family D: tagging of documents, and the status of its jobs."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from deployments.work.deployment import Job
from serve_app.features.tagging import Tagging
from serve_app.http.errors import InvalidRequest, NotJson
from serve_app.http.middleware import request_id
from serve_app.inputs.bodies import parsed, read_body
from serve_app.routes.responses import TAGGER_ERRORS, WORK_ERRORS, answers
from serve_app.schemas.tagger import Index_Response, ProcessRequest, WorkJob, WorkStatus
from serve_app.services import InjectedServices

router = APIRouter(tags=["Tagger"])

REQUEST = TypeAdapter(ProcessRequest)

BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ProcessRequest.model_json_schema(by_alias=False)}},
    }
}


@router.get("/test", summary="Whether the tagger's routes exist", responses=answers({"test endpoint is": "OK"}))
async def test() -> dict[str, str]:
    return {"test endpoint is": "OK"}


@router.get("/health-check", summary="Whether the service answers", responses=answers({"message": "OK"}))
async def health_check() -> dict[str, str]:
    """Answers whenever the service runs; /health reports the state of the models."""
    return {"message": "OK"}


@router.post("/process", summary="Tag images and videos", responses=TAGGER_ERRORS, openapi_extra=BODY)
async def process(http: Request, services: InjectedServices) -> Index_Response:
    """Return labels or counts for each document. Documents that cannot be treated are in `list_id_not_treated`."""
    # JSON whatever the Content-Type says, as the clients of the earlier tagger expect.
    try:
        request = await parsed(await read_body(http), REQUEST, half_characters=True)
    except NotJson as error:
        raise InvalidRequest(f'{error.message} Send {{"documents": […], "num_labels": 5}}.') from None
    return await Tagging(services, request).answer(request_id(http.scope))


@router.get("/work/status", summary="The newest jobs of /process", responses=WORK_ERRORS)
async def work_status(services: InjectedServices) -> WorkStatus:
    """List the newest 1,000 jobs, the newest first. The answer is the same from every replica."""
    jobs = await services.models.work.jobs()
    return WorkStatus(running=sum(job.status == "running" for job in jobs), jobs=[_shown(job) for job in jobs])


def _shown(job: Job) -> WorkJob:
    return WorkJob(
        id=job.id,
        request_id=job.request_id,
        status=job.status,
        started_at=_utc(job.started_at),
        finished_at=None if job.finished_at is None else _utc(job.finished_at),
        documents=job.documents,
        treated=job.treated,
        not_treated=job.not_treated,
        error=job.error,
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
