"""Family C: analysis of photos, clustering of embeddings, and assessment by a vision language model."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from deployments.clustering.deployment import ClusterRequest, ClusterResponse
from deployments.models.llm.assessment import LlmQuestion
from serve_app.features.analysis import Analysis
from serve_app.http.errors import ValidationFailed
from serve_app.inputs.bodies import JsonRoute
from serve_app.routes.responses import FETCH_ERRORS, LLM_ERRORS, MODEL_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.analysis import (
    AnalyzeRequest,
    AnalyzeResponse,
    BatchAnalyzeRequest,
    BatchAnalyzeResponse,
    ImageAnalysisResult,
    LlmAnalyzeRequest,
    LlmAnalyzeResponse,
    StreamedResult,
)
from serve_app.schemas.common import ImageInput
from serve_app.services import InjectedServices, counted, gather_bounded

router = APIRouter(prefix="/v1", tags=["Analysis"], route_class=JsonRoute)

NDJSON = "application/x-ndjson"
# The schema of a line without its `$defs`: they are among the components of the OpenAPI document already.
LINE = {
    part: value
    for part, value in StreamedResult.model_json_schema(ref_template="#/components/schemas/{model}").items()
    if part != "$defs"
}
# The long side in pixels that vision language models use: providers scale larger images down, and charge more for them.
LLM_LONG_SIDE = 1568


@router.post("/analyze", summary="Analyse one image", responses=UPLOAD_ERRORS | MODEL_ERRORS)
async def analyze(request: AnalyzeRequest, services: InjectedServices) -> AnalyzeResponse:
    """Run the requested analysers on one image, in parallel. `result.error` says what went wrong."""
    analysis = Analysis(services, request, "/v1/analyze")
    return AnalyzeResponse(result=await analysis.of(request.image))


@router.post(
    "/analyze/batch",
    summary="Analyse several images",
    response_model=BatchAnalyzeResponse,
    responses=UPLOAD_ERRORS | MODEL_ERRORS | {200: {"content": {NDJSON: {"schema": LINE}}}},
)
async def analyze_batch(request: BatchAnalyzeRequest, services: InjectedServices, http: Request) -> Any:
    """Run the requested analysers on each image; an image that fails does not affect the others.

    With `Accept: application/x-ndjson`, each result is a line that is sent as soon as it is ready.
    """
    most = services.settings.analysis.max_images
    if len(request.images) > most:
        message = f"{len(request.images)} images, at most {most}: send several requests."
        raise ValidationFailed(message, detail=[{"loc": ["body", "images"], "msg": message, "type": "too_long"}])
    side_by_side = services.settings.ingress.max_concurrent_pictures
    analysis = Analysis(services, request, "/v1/analyze/batch")
    if NDJSON in http.headers.get("accept", ""):
        stream = _stream(analysis, request.images, side_by_side)
        return StreamingResponse(stream, media_type=NDJSON)
    started = time.perf_counter()
    results = await gather_bounded(request.images, analysis.of_one_of_many, side_by_side)
    succeeded = sum(result.error is None for result in results)
    return BatchAnalyzeResponse(
        total=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
        results=results,
        total_processing_time_ms=round((time.perf_counter() - started) * 1000, 1),
    )


async def _stream(analysis: Analysis, images: list[ImageInput], limit: int) -> AsyncIterator[str]:
    slots = asyncio.Semaphore(limit)

    async def one(index: int, image: ImageInput) -> tuple[int, ImageAnalysisResult]:
        async with slots:
            return index, await analysis.of_one_of_many(image)

    tasks = [asyncio.create_task(one(index, image)) for index, image in enumerate(images)]
    try:
        for ready in asyncio.as_completed(tasks):
            index, result = await ready
            yield StreamedResult(index=index, **dict(result)).model_dump_json() + "\n"
    finally:
        for task in tasks:  # if the client disconnected
            task.cancel()


@router.post(
    "/cluster",
    summary="Cluster embeddings (DBSCAN, cosine distance)",
    response_model=ClusterResponse,
    responses=UPLOAD_ERRORS | MODEL_ERRORS,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ClusterRequest.model_json_schema()}},
        }
    },
)
async def cluster(request: Request, services: InjectedServices) -> Response:
    """Cluster embeddings with DBSCAN by cosine distance; image_ids come back with their cluster, noise with −1."""
    # The body goes to the clusterer unparsed: 20,000 embeddings are 200 MB of JSON.
    return Response(await services.models.clusterer.cluster(request.stream()), media_type="application/json")


@router.post(
    "/analyze/llm",
    summary="Ask a vision language model about one image",
    responses=UPLOAD_ERRORS | FETCH_ERRORS | MODEL_ERRORS | LLM_ERRORS,
)
async def analyze_llm(request: LlmAnalyzeRequest, services: InjectedServices) -> LlmAnalyzeResponse:
    """Ask a vision language model to assess one image.

    The image is fetched, checked and scaled down by this service: the provider gets its pixels, never its URL.
    """
    services.models.llm.announce()
    async with counted("/v1/analyze/llm"):
        data = await services.read(ImageInput(url=request.image_url, data=request.image, image_id=None))
        services.check_size(len(data))
        jpeg = await services.decoder.jpeg(data, LLM_LONG_SIDE)
        question = LlmQuestion(jpeg, request.model, request.custom_prompt, request.max_tokens, request.language)
        answer = await services.models.llm.analyze(question)
    return LlmAnalyzeResponse(
        ref_id=request.ref_id,
        analysis=answer.analysis,
        model_used=answer.model_used,
        tokens_used=answer.tokens_used,
        processing_ms=answer.processing_ms,
    )
