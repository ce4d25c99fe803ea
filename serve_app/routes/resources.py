"""The new routes: embeddings in OpenAI's wire format, the list of models, zero-shot classification."""

import asyncio
import base64

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from configs.prompts import load_prompts
from deployments.models.clip.settings import ClipSettings
from deployments.models.clip.weights import ClipWeights
from deployments.models.clip.zero_shot import softmax
from deployments.pictures.pixels import Pixels
from deployments.runtime.weights import Weights
from deployments.runtime.worker import ModelStatus
from serve_app.clients.client import ModelState
from serve_app.http.errors import InvalidRequest, ModelNotFound, TooLarge
from serve_app.inputs.base64_text import NotBase64, decode_base64, is_data_uri
from serve_app.inputs.bodies import JsonRoute
from serve_app.routes.responses import FETCH_ERRORS, KEY_ERRORS, MODEL_ERRORS, NOT_FOUND_ERRORS, UPLOAD_ERRORS
from serve_app.schemas.resources import (
    ClassifyRequest,
    ClassifyResponse,
    Embedding,
    EmbeddingRequest,
    EmbeddingResponse,
    LabelScore,
    ModelList,
    ServedModel,
    TextPart,
    Usage,
)
from serve_app.services import InjectedServices, Services, counted, gather_bounded, stack

router = APIRouter(prefix="/v1", tags=["Resources"], route_class=JsonRoute)

JSON_ERRORS = UPLOAD_ERRORS | FETCH_ERRORS | MODEL_ERRORS
# The name that requests may use for the model, whatever its weights are.
CLIP = "clip"


@router.post(
    "/embeddings", summary="Embed texts and images (OpenAI's wire format)", responses=JSON_ERRORS | NOT_FOUND_ERRORS
)
async def embeddings(request: EmbeddingRequest, services: InjectedServices) -> EmbeddingResponse:
    """Embed texts and images into one vector space, as L2-normalised vectors.

    The cosine similarity of a text and an image says how well they match.
    """
    inputs = _inputs(request)
    _check(request, len(inputs), services)
    vectors = np.empty((len(inputs), services.clip.weights.dimensions), np.float32)
    texts = [index for index, (kind, _) in enumerate(inputs) if kind == "text"]
    images = [index for index, (kind, _) in enumerate(inputs) if kind == "image"]
    tokens = 0
    if texts:
        embedded = await services.clip.embed_texts([inputs[index][1] for index in texts])
        vectors[texts], tokens = embedded.vectors, embedded.tokens
    if images:
        vectors[images] = await _embed_images(services, [inputs[index][1] for index in images])
    return EmbeddingResponse(
        data=[Embedding(index=index, embedding=_encoded(vector, request)) for index, vector in enumerate(vectors)],
        model=services.clip.weights.id,
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _inputs(request: EmbeddingRequest) -> list[tuple[str, str]]:
    """Each input as a pair: (`text`, the text) or (`image`, the URL)."""
    items = [request.input] if isinstance(request.input, str) else request.input
    return [
        (request.modality, item)
        if isinstance(item, str)
        else ("text", item.text)
        if isinstance(item, TextPart)
        else ("image", item.image_url.url)
        for item in items
    ]


def _check(request: EmbeddingRequest, count: int, services: Services) -> None:
    weights = services.clip.weights
    if request.model not in {CLIP, weights.id, services.settings.of(ClipSettings).model_name}:
        raise ModelNotFound(f"There is no model {request.model!r} here: use {CLIP!r} or {weights.id!r}.")
    if not count:
        raise InvalidRequest("input is empty: send at least one text or image.")
    most = services.settings.limits.max_embedding_inputs
    if count > most:
        raise TooLarge(f"At most {most} inputs at once: send several requests.")
    if request.dimensions not in {None, weights.dimensions}:
        raise InvalidRequest(f"{weights.id} has {weights.dimensions} dimensions: leave dimensions out.")


async def _embed_images(services: Services, sources: list[str]) -> NDArray[np.float32]:
    async def fit(source: str) -> Pixels:
        return (await services.fit_for_clip(await _read(services, source))).pixels

    async with counted("/v1/embeddings", len(sources)):
        pixels = await gather_bounded(sources, fit, services.settings.ingress.decode_threads)
        return await services.clip.embed_images(np.stack(pixels))


async def _read(services: Services, source: str) -> bytes:
    if not is_data_uri(source):
        return await services.fetcher.get(source)
    try:
        return await asyncio.to_thread(decode_base64, source)
    except NotBase64 as error:
        raise InvalidRequest(f"An image of input: {error}.") from error


def _encoded(vector: NDArray[np.float32], request: EmbeddingRequest) -> list[float] | str:
    if request.encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()  # type: ignore[no-any-return]


@router.post("/classify", summary="Classify one image by your own labels", responses=JSON_ERRORS)
async def classify(request: ClassifyRequest, services: InjectedServices) -> ClassifyResponse:
    """Classify one image zero-shot: a softmax over the labels, each inserted into the template."""
    if len(request.labels) > services.settings.limits.max_categories:
        raise TooLarge(f"At most {services.settings.limits.max_categories} labels at once: send several requests.")
    labels = list(dict.fromkeys(request.labels))
    template = request.template or load_prompts().template
    async with counted("/v1/classify"):
        image = await services.fit_for_clip(await services.read(request.image))
        logits = await services.clip.score(stack([image]), [[template.format(label)] for label in labels])
    ranked = sorted(zip(softmax(logits[0]).tolist(), labels, strict=True), reverse=True)
    return ClassifyResponse(
        model=services.clip.weights.id,
        image_id=request.image.image_id,
        width_px=image.width,
        height_px=image.height,
        labels=[LabelScore(label=label, score=score) for score, label in ranked],
    )


@router.get("/models", summary="All served models with their exact weights", responses=KEY_ERRORS)
async def models(services: InjectedServices) -> ModelList:
    """List all models that are switched on, in OpenAI's format."""
    clients = [client for client in services.models.all() if client.enabled]
    states = await asyncio.gather(*(client.state() for client in clients))
    return ModelList(
        data=[
            _served(services, weights, state, status)
            for client, state in zip(clients, states, strict=True)
            for weights, status in zip(client.models, state.statuses or [None] * len(client.models), strict=True)
        ]
    )


def _served(services: Services, weights: Weights, state: ModelState, status: ModelStatus | None) -> ServedModel:
    return ServedModel(
        id=weights.id,
        created=int(services.started_at),
        owned_by="panoptes" if weights.source == "bundled" else weights.id.partition("/")[0],
        name=weights.name,
        task=weights.task,
        source=weights.source,
        revision=weights.revision,
        licence=weights.licence,
        statement=weights.statement,
        dimensions=weights.dimensions if isinstance(weights, ClipWeights) else None,
        device=status.device if status else None,
        replicas=state.replicas,
        queue=status.queue if status else None,
        items=status.items if status else None,
        batches=status.batches if status else None,
        error=state.error or (status.error if status else None),
        age_s=None if state.age_s is None else round(state.age_s, 1),
    )
