"""The composition of an analysis: one decode, one hand-over, and every analyser side by side.

A failure of one analyser is a part of the answer; a failure of one image is that image's alone.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from configs.prompts import CATEGORIES, load_prompts
from deployments.clip import ImageScores
from deployments.figures import BlurFigures, Face, QualityFigures
from deployments.zero_shot import softmax
from serve_app.classification import decide
from serve_app.errors import FetchFailed, InvalidRequest, ModelDisabled, PanoptesError, TooLarge, UrlRefused
from serve_app.handles import AnalyzerClient, ModelClient, Picture
from serve_app.images import Decoded
from serve_app.schemas.analysis import (
    AestheticResult,
    AnalysisFlags,
    BlurResult,
    ClassificationResult,
    EmbeddingResult,
    EmotionEntry,
    EmotionResult,
    ImageAnalysisResult,
    QualityResult,
)
from serve_app.schemas.common import ImageInput
from serve_app.services import Services, counted

logger = logging.getLogger("ray.serve.panoptes.analysis")

CLIP_ANALYZERS = ("embedding", "classification")
# The measures stand for quality as the analysis API that people know has them.
HIGH_BRISQUE, MEDIUM_BRISQUE = 25, 50
HIGH_TECHNICAL, MEDIUM_TECHNICAL = 6.0, 4.5
HIGH_AESTHETIC, MEDIUM_AESTHETIC = 6.5, 5.0


@dataclass
class Seen:
    """What the analysers found in one picture so far: fields of its result, and what went wrong."""

    fields: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


Value = TypeVar("Value")
Look = Callable[[Picture, NDArray[np.uint8] | None, Seen], Awaitable[None]]


class Analysis:
    """Which analysers a request wants, and how each of them looks at a picture."""

    def __init__(self, services: Services, flags: AnalysisFlags, route: str) -> None:
        """ModelDisabled when everything that is asked for is switched off."""
        self._services, self._route = services, route
        self._looks: dict[str, Look] = {}
        self._off: list[str] = []
        wanted = [name for name in ("blur", "quality", "emotion", *CLIP_ANALYZERS) if getattr(flags, f"run_{name}")]
        for name in wanted:
            client = self._client(name)
            if client.enabled:
                client.announce()
                self._looks[name] = self._look(name)
            elif flags.asked(name):
                self._off.append(f"{name}: {client.deployment} is switched off here")
        if wanted and not self._looks:
            raise ModelDisabled(f"Switched off here: {', '.join(wanted)}. Ask the operator to enable one of them.")
        self._clip = [name for name in CLIP_ANALYZERS if name in self._looks]

    async def of(self, image: ImageInput, *, raise_limits: bool) -> ImageAnalysisResult:
        """Analyse one image.

        Args:
            image: its URL or bytes.
            raise_limits: raise TooLarge for an image over a limit, which otherwise is its result's `error`.
        """
        started = time.perf_counter()
        result = ImageAnalysisResult(image_id=image.image_id, source_url=image.url, processing_time_ms=0)
        try:
            async with self._services.pictures, counted(self._route):
                decoded, fitted = await self._open(image)
                result.width_px, result.height_px = decoded.width, decoded.height
                seen = await self._see(Picture(decoded.pixels), fitted)
                result = result.model_copy(update=seen.fields)
                result.error = "; ".join(seen.problems) or None
        except TooLarge as error:
            if raise_limits:
                raise
            result.error = _describe(error)
        except (InvalidRequest, FetchFailed) as error:
            result.error = _describe(error)
        result.processing_time_ms = round((time.perf_counter() - started) * 1000, 1)
        return result

    async def _open(self, image: ImageInput) -> tuple[Decoded, NDArray[np.uint8] | None]:
        data = await self._services.read(image)
        self._services.check_size(data)
        size = self._services.clip.weights.image.size if self._clip else None
        if size is not None and len(self._looks) == len(self._clip):
            # Nobody looks at the whole picture: a JPEG may be scaled down while it is decoded.
            decoded = await self._services.decoder.fit(data, size)
            return decoded, decoded.pixels
        return await self._services.decoder.whole(data, size)

    async def _see(self, picture: Picture, fitted: NDArray[np.uint8] | None) -> Seen:
        seen = Seen(problems=list(self._off))
        looks = {name: look for name, look in self._looks.items() if name not in self._clip}
        if looks:
            await picture.hand_over()
        if self._clip:
            looks[" and ".join(self._clip)] = self._look_with_clip
        async with asyncio.TaskGroup() as group:
            for name, look in looks.items():
                group.create_task(self._guarded(name, look(picture, fitted, seen), seen))
        return seen

    async def _guarded(self, name: str, looking: Awaitable[None], seen: Seen) -> None:
        """One analyser within its deadline; what goes wrong with it is said, and the others go on."""
        deadline_s = self._services.settings.analyzer_timeout_s
        try:
            async with asyncio.timeout(deadline_s):
                await looking
        except TimeoutError:
            seen.problems.append(f"{name}: no answer within {deadline_s:g} s: try again")
        except PanoptesError as error:
            seen.problems.append(f"{name}: {error.message}")
        except Exception as error:  # a broken analyser must not take the others' answers with it
            logger.exception("The analyser %s failed", name)
            seen.problems.append(f"{name}: failed ({type(error).__name__}): report it with the X-Request-ID")

    def _client(self, name: str) -> ModelClient:
        models = self._services.models
        clients: dict[str, ModelClient] = {
            "blur": models.blur, "quality": models.quality, "emotion": models.emotion,
        }  # fmt: skip
        return clients.get(name, models.clip)

    def _look(self, name: str) -> Look:
        models = self._services.models
        looks: dict[str, Look] = {
            "blur": _looking(models.blur, self._blur),
            "quality": _looking(models.quality, _quality),
            "emotion": _looking(models.emotion, _emotion),
        }
        return looks.get(name, self._look_with_clip)

    async def _look_with_clip(self, _picture: Picture, fitted: NDArray[np.uint8] | None, seen: Seen) -> None:
        """One forward pass for the embedding and the classification."""
        clip, settings = self._services.clip, self._services.settings
        assert fitted is not None  # noqa: S101 - `_open` fits where CLIP looks
        if "classification" in self._clip:
            prompts = load_prompts().classifier[settings.prompt_set]
            scores = await clip.score(fitted[None], [list(prompts[category]) for category in CATEGORIES])
            seen.fields["classification"] = _classification(clip.weights.id, scores)
            vector = scores.vectors[0]
        else:
            vector = (await clip.embed_images(fitted[None]))[0]
        if "embedding" in self._clip:
            seen.fields["embedding"] = EmbeddingResult(
                model=clip.weights.id, dimensions=len(vector), vector=vector.tolist()
            )

    def _blur(self, figures: BlurFigures, seen: Seen) -> None:
        threshold = self._services.settings.blur_threshold
        seen.fields["blur"] = BlurResult(
            laplacian_variance=figures.variance,
            normalized_laplacian_variance=figures.normalized_variance,
            is_blurry=figures.variance < threshold,
            blur_threshold=threshold,
        )


def _looking(client: AnalyzerClient[Value], render: Callable[[Value, Seen], None]) -> Look:
    async def look(picture: Picture, _fitted: NDArray[np.uint8] | None, seen: Seen) -> None:
        render(await client.analyze(picture), seen)

    return look


def _quality(figures: QualityFigures, seen: Seen) -> None:
    aesthetic = _grade(figures.aesthetic >= HIGH_AESTHETIC, figures.aesthetic >= MEDIUM_AESTHETIC)
    seen.fields["aesthetic"] = AestheticResult(nima_aesthetic_score=figures.aesthetic, aesthetic_label=aesthetic)
    if figures.brisque is None:
        seen.problems.append("quality: the image is too small or has no texture: BRISQUE has no value for it")
        return
    seen.fields["quality"] = QualityResult(
        brisque_score=figures.brisque,
        nima_technical_score=figures.technical,
        overall_quality=_grade(
            figures.brisque < HIGH_BRISQUE and figures.technical >= HIGH_TECHNICAL,
            figures.brisque < MEDIUM_BRISQUE and figures.technical >= MEDIUM_TECHNICAL,
        ),
    )


def _emotion(faces: list[Face], seen: Seen) -> None:
    if faces:
        entries = [
            EmotionEntry(
                dominant_emotion=face.dominant_emotion,
                scores=face.scores,
                face_confidence=face.confidence,
                region=face.region,
            )
            for face in faces
        ]
        seen.fields["emotion"] = EmotionResult(faces_detected=len(faces), faces=entries)


def _classification(model: str, scores: ImageScores) -> ClassificationResult:
    decision = decide(softmax(scores.logits[0]).tolist())
    return ClassificationResult(
        model=model,
        classification=decision.category,
        confidence=decision.confidence,
        is_map_or_aerial=decision.is_map_or_aerial,
        probabilities=decision.probabilities,
    )


def _grade(high: bool, medium: bool) -> Literal["low", "medium", "high"]:
    return "high" if high else "medium" if medium else "low"


def _describe(error: PanoptesError) -> str:
    """An image's own problem as the clients of the analysis API know it: a name, a colon, what to do."""
    if isinstance(error, UrlRefused | TooLarge):
        kind = type(error).__name__
    else:
        kind = "ImageFetchError" if isinstance(error, FetchFailed) else "ImageDecodeError"
    return f"{kind}: {error.message}"


def outcome(results: Iterator[ImageAnalysisResult]) -> tuple[int, int]:
    """How many images succeeded and how many did not."""
    errors = [result.error for result in results]
    return errors.count(None), len(errors) - errors.count(None)
