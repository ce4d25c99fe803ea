"""Analyses of pictures: each picture is decoded once and goes to all wanted models in parallel.

The failure of a model is reported in its image's result; the failure of an image does not affect the other images.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from deployments.pictures.inputs import Fitted, PictureInput, Whole
from deployments.pictures.pixels import Pixels
from deployments.pictures.places import in_original
from deployments.runtime.spec import AnalysisSpec, ModelSpec
from deployments.specs import analyses
from serve_app.clients.client import ModelClient, SharedPicture
from serve_app.features.classification import prompt_set
from serve_app.http.errors import (
    DeadlineExceeded,
    FetchFailed,
    InvalidRequest,
    ModelDisabled,
    PanoptesError,
    Unavailable,
    UrlRefused,
)
from serve_app.http.metrics import analyzer_failures_total
from serve_app.http.middleware import until
from serve_app.schemas.analysis import AnalysisFlags, ImageAnalysisResult
from serve_app.schemas.answers import view
from serve_app.schemas.answers.view import Answered
from serve_app.schemas.common import ImageInput
from serve_app.services import Services, counted

logger = logging.getLogger("ray.serve.panoptes.analysis")

# The shares of a request's time after which analysers and images of a batch are cut off; the rest is for the answer.
ANALYZER_SHARE, IMAGE_SHARE = 0.9, 0.95
CLIP = "Clip"


@dataclass
class Seen:
    """The answers on one picture so far: fields of its result, and problems.

    `width` and `height` are those of the upright picture, in pixels.
    """

    width: int
    height: int
    fields: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)
    answered: bool = False


class Analysis:
    """The analyses that a request wants, run on each of its pictures."""

    def __init__(self, services: Services, flags: AnalysisFlags, route: str) -> None:
        """ModelDisabled when everything that is asked for is switched off."""
        self._services, self._route = services, route
        self._analyzers_until, self._until = until(ANALYZER_SHARE), until(IMAGE_SHARE)
        wanted = {name: found for name, found in analyses().items() if flags.wants(name)}
        runs = {name: found for name, found in wanted.items() if self._client(found[1]).enabled}
        if wanted and not runs:
            raise ModelDisabled(f"Switched off here: {', '.join(wanted)}. Ask the operator to enable one of them.")
        for _, spec in runs.values():
            self._client(spec).announce()
        # A disabled model is reported only to requests that set its flag themselves.
        self._off = [
            f"{name}: {spec.name} is switched off here"
            for name, (_, spec) in wanted.items()
            if name not in runs and flags.asked(name)
        ]
        # CLIP makes all its analyses in one pass over the fitted picture; the other models take the whole picture.
        self._whole = [found for found in runs.values() if found[1].name != CLIP]
        self._clip = [name for name, (_, spec) in runs.items() if spec.name == CLIP]

    def _client(self, spec: ModelSpec) -> ModelClient:
        return self._services.models[spec.name]

    async def of(self, image: ImageInput) -> ImageAnalysisResult:
        """Analyse one image. Problems with the image or with some analysers are reported in the result's `error`.

        Raises:
            TooLarge: the image is over a limit.
            Unavailable: no analyser answered, and at least one was unavailable.
        """
        started = time.perf_counter()
        result = ImageAnalysisResult(image_id=image.image_id, source_url=image.url, processing_time_ms=0)
        try:
            async with counted(self._route):
                seen = await self._open_and_see(image)
            result = result.model_copy(update=seen.fields)
            result.error = "; ".join(seen.problems) or None
        except (InvalidRequest, FetchFailed) as error:
            result.error = _describe(error)
        result.processing_time_ms = round((time.perf_counter() - started) * 1000, 1)
        return result

    async def of_one_of_many(self, image: ImageInput) -> ImageAnalysisResult:
        """As `of`, but errors become the result's `error`: one image must not fail the others of its batch."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout_at(self._until):
                return await self.of(image)
        except TimeoutError:
            problem = _describe(DeadlineExceeded("the time for the whole request was over: send fewer images at once."))
        except PanoptesError as error:
            problem = _describe(error)
        except Exception as error:
            logger.exception("An image of a batch failed")
            problem = f"InternalError: failed ({type(error).__name__}): report it with the X-Request-ID"
        elapsed = round((time.perf_counter() - started) * 1000, 1)
        return ImageAnalysisResult(
            image_id=image.image_id, source_url=image.url, processing_time_ms=elapsed, error=problem
        )

    async def _open_and_see(self, image: ImageInput) -> Seen:
        async with self._services.arrivals:
            data = await self._services.read(image)
            self._services.check_size(len(data))
            async with self._services.pictures:
                decoded = await self._services.decoder.inputs(data, *self._inputs())
                del data
                size = decoded[0].width, decoded[0].height
                return await self._see(Seen(*size, problems=list(self._off)), [one.pixels for one in decoded])

    def _inputs(self) -> list[PictureInput]:
        """The inputs to decode: the whole picture if a model takes it, then CLIP's input."""
        fitted = [Fitted(self._services.clip.weights.image.size)] if self._clip else []
        return [Whole(), *fitted] if self._whole or not fitted else [*fitted]

    async def _see(self, seen: Seen, inputs: list[Pixels]) -> Seen:
        picture = SharedPicture(inputs[0])
        seen.fields |= {"width_px": seen.width, "height_px": seen.height}
        async with asyncio.TaskGroup() as group:
            for analysis, spec in self._whole:
                group.create_task(self._guarded(analysis.name, self._look(analysis, spec, picture, seen), seen))
            if self._clip:
                group.create_task(self._guarded(" and ".join(self._clip), self._look_with_clip(inputs[-1], seen), seen))
        if seen.unavailable and not seen.answered:
            raise seen.unavailable[0]
        return seen

    async def _look(self, analysis: AnalysisSpec, spec: ModelSpec, picture: SharedPicture, seen: Seen) -> None:
        value = await self._services.models.analyzer(spec.name).analyze(picture, *analysis.arguments)
        self._render(analysis.name, self._client(spec), in_original(value, seen.width / picture.width), seen)

    async def _look_with_clip(self, fitted: Pixels, seen: Seen) -> None:
        """One forward pass for the embedding and the classification."""
        clip = self._services.clip
        if "classification" not in self._clip:
            self._render("embedding", clip, (await clip.embed_images(fitted[None]))[0], seen)
            return
        prompts, vectors = prompt_set(self._services.settings), "embedding" in self._clip
        found = await clip.classify(fitted[None], prompts, vectors=vectors)
        self._render("classification", clip, found.decisions[0], seen)
        if found.vectors is not None:
            self._render("embedding", clip, found.vectors[0], seen)

    def _render(self, name: str, client: ModelClient, value: Any, seen: Seen) -> None:
        settings = self._services.settings
        rendered = view(name).render(Answered(value, client.models[0].id, seen.width, seen.height, settings))
        seen.fields |= rendered.fields
        if rendered.problem:
            seen.problems.append(f"{name}: {rendered.problem}")

    async def _guarded(self, name: str, looking: Awaitable[None], seen: Seen) -> None:
        """Run one analyser within its deadline; a failure becomes a problem of the result, and the others go on."""
        own = asyncio.get_running_loop().time() + self._services.settings.analysis.timeout_s
        try:
            async with asyncio.timeout_at(min(own, self._analyzers_until)):
                await looking
            seen.answered = True
        except TimeoutError:
            self._note(seen, name, "timeout", "no answer in time: try again")
        except PanoptesError as error:
            if isinstance(error, Unavailable):
                seen.unavailable.append(error)
            self._note(seen, name, error.code, error.message)
        except Exception as error:  # a broken analyser must not discard the others' answers
            logger.exception("The analyser %s failed", name)
            why = f"failed ({type(error).__name__}): report it with the X-Request-ID"
            self._note(seen, name, "internal_error", why)

    def _note(self, seen: Seen, name: str, reason: str, message: str) -> None:
        seen.problems.append(f"{name}: {message}")
        analyzer_failures_total().inc(tags={"analyzer": name, "reason": reason})


def _describe(error: PanoptesError) -> str:
    """An image's problem in the format of the analysis API: a name, a colon, what to do."""
    kind = type(error).__name__
    if isinstance(error, FetchFailed):
        kind = "ImageFetchError"
    elif isinstance(error, InvalidRequest) and not isinstance(error, UrlRefused):
        kind = "ImageDecodeError"
    return f"{kind}: {error.message}"
