"""The composition of an analysis: one decode, one hand-over, and every analyser side by side.

A failure of one analyser is a part of the answer; a failure of one image is that image's alone.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from deployments.models.blur.answers import BlurMeasures
from deployments.models.blur.settings import BlurSettings
from deployments.models.detector.answers import FoundObject
from deployments.models.emotion.answers import Face
from deployments.models.quality.answers import QualityMeasures
from deployments.models.tagger.answers import Tag
from deployments.pictures.pixels import Pixels
from serve_app.clients.handles import AnalyzerClient, ModelClient, SharedPicture
from serve_app.features.classification import classify
from serve_app.features.descriptions import counts, detected, tag_scores
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
from serve_app.schemas.pictures import LABELS, CaptionResult, ObjectsResult, TagsResult
from serve_app.services import Services, counted

logger = logging.getLogger("ray.serve.panoptes.analysis")

# Of a request's time, for the analysers and then for the images of a batch: what is there by then is still answered.
ANALYZER_SHARE, IMAGE_SHARE = 0.9, 0.95
# The measures stand for quality as the analysis API that people know has them.
HIGH_BRISQUE, MEDIUM_BRISQUE = 25, 50
HIGH_TECHNICAL, MEDIUM_TECHNICAL = 6.0, 4.5
HIGH_AESTHETIC, MEDIUM_AESTHETIC = 6.5, 5.0


@dataclass
class Seen:
    """What the analysers found in one picture so far: fields of its result, and what went wrong.

    `width` and `height` are of the picture that they look at.
    """

    width: int
    height: int
    fields: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)
    answered: bool = False


Render = Callable[[Any, Seen], None]
Look = Callable[[SharedPicture, Seen], Coroutine[Any, Any, None]]


class Analysis:
    """Which analysers a request wants, and how each of them looks at a picture."""

    def __init__(self, services: Services, flags: AnalysisFlags, route: str) -> None:
        """ModelDisabled when everything that is asked for is switched off."""
        self._services, self._route = services, route
        self._analyzers_until, self._until = until(ANALYZER_SHARE), until(IMAGE_SHARE)
        models = services.models
        clients: dict[str, ModelClient] = {
            "blur": models.blur,
            "quality": models.quality,
            "emotion": models.emotion,
            "embedding": models.clip,
            "classification": models.clip,
            "caption": models.captioner,
            "tags": models.tagger,
            "objects": models.detector,
        }
        wanted = [name for name in clients if getattr(flags, f"run_{name}")]
        runs = [name for name in wanted if clients[name].enabled]
        if wanted and not runs:
            raise ModelDisabled(f"Switched off here: {', '.join(wanted)}. Ask the operator to enable one of them.")
        for name in runs:
            clients[name].announce()
        # Who left a flag out gets what is there; who asked for what is off is told.
        self._off = [
            f"{name}: {clients[name].deployment} is switched off here"
            for name in wanted
            if name not in runs and flags.asked(name)
        ]
        whole: dict[str, Look] = {
            "blur": partial(_look, models.blur, self._blur),
            "quality": partial(_look, models.quality, _quality),
            "emotion": partial(_look, models.emotion, _emotion),
            "caption": partial(_look, models.captioner, self._caption),
            "tags": partial(_look, models.tagger, self._tags, arguments=(LABELS,)),
            "objects": partial(_look, models.detector, self._objects),
        }
        self._whole = {name: whole[name] for name in runs if name in whole}
        self._clip = [name for name in runs if name not in whole]

    async def of(self, image: ImageInput) -> ImageAnalysisResult:
        """Analyse one image; what is wrong with it, or with some of its analysers, is its result's `error`.

        Raises:
            TooLarge: it is over a limit.
            Unavailable: no analyser was there for it.
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
        """As `of`, but nothing is raised: an image must not take the others of its batch with it."""
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
                size, picture, fitted = await self._open(data)
                del data
                seen = await self._see(picture, fitted)
        seen.fields |= {"width_px": size[0], "height_px": size[1]}
        return seen

    async def _open(self, data: bytes) -> tuple[tuple[int, int], SharedPicture, Pixels]:
        """The size of the upright image, the whole picture, and what CLIP sees of it."""
        size = self._services.clip.weights.image.size if self._clip else None
        if size is not None and not self._whole:
            # Nobody looks at the whole picture: a JPEG may be scaled down while it is decoded.
            decoded = await self._services.decoder.fit(data, size)
            return (decoded.width, decoded.height), SharedPicture(decoded.pixels), decoded.pixels
        decoded, fitted = await self._services.decoder.whole(data, size)
        return (decoded.width, decoded.height), SharedPicture(decoded.pixels), fitted

    async def _see(self, picture: SharedPicture, fitted: Pixels) -> Seen:
        seen = Seen(picture.width, picture.height, problems=list(self._off))
        async with asyncio.TaskGroup() as group:
            for name, look in self._whole.items():
                group.create_task(self._guarded(name, look(picture, seen), seen))
            if self._clip:
                group.create_task(self._guarded(" and ".join(self._clip), self._look_with_clip(fitted, seen), seen))
        if seen.unavailable and not seen.answered:
            raise seen.unavailable[0]
        return seen

    async def _guarded(self, name: str, looking: Awaitable[None], seen: Seen) -> None:
        """One analyser within its deadline; what goes wrong with it is said, and the others go on."""
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
        except Exception as error:  # a broken analyser must not take the others' answers with it
            logger.exception("The analyser %s failed", name)
            why = f"failed ({type(error).__name__}): report it with the X-Request-ID"
            self._note(seen, name, "internal_error", why)

    def _note(self, seen: Seen, name: str, reason: str, message: str) -> None:
        seen.problems.append(f"{name}: {message}")
        analyzer_failures_total().inc(tags={"analyzer": name, "reason": reason})

    async def _look_with_clip(self, fitted: Pixels, seen: Seen) -> None:
        """One forward pass for the embedding and the classification."""
        clip = self._services.clip
        if "classification" in self._clip:
            decision, vector = await classify(self._services, fitted)
            seen.fields["classification"] = ClassificationResult(
                model=clip.weights.id,
                classification=decision.category,
                confidence=decision.confidence,
                is_map_or_aerial=decision.is_map_or_aerial,
                probabilities=decision.probabilities,
            )
        else:
            vector = (await clip.embed_images(fitted[None]))[0]
        if "embedding" in self._clip:
            seen.fields["embedding"] = EmbeddingResult(
                model=clip.weights.id, dimensions=len(vector), vector=vector.tolist()
            )

    def _blur(self, figures: BlurMeasures, seen: Seen) -> None:
        threshold = self._services.settings.of(BlurSettings).threshold
        seen.fields["blur"] = BlurResult(
            laplacian_variance=figures.variance,
            normalized_laplacian_variance=figures.normalized_variance,
            is_blurry=figures.variance < threshold,
            blur_threshold=threshold,
        )

    def _caption(self, text: str, seen: Seen) -> None:
        seen.fields["caption"] = CaptionResult(model=self._services.models.captioner.models[0].id, text=text)

    def _tags(self, tags: list[Tag], seen: Seen) -> None:
        model = self._services.models.tagger.models[0].id
        seen.fields["tags"] = TagsResult(model=model, tags=tag_scores(tags))

    def _objects(self, found: list[FoundObject], seen: Seen) -> None:
        model = self._services.models.detector.models[0].id
        objects = detected(found, seen.width, seen.height)
        seen.fields["objects"] = ObjectsResult(model=model, objects=objects, counts=counts(found))


async def _look(
    client: AnalyzerClient[Any], render: Render, picture: SharedPicture, seen: Seen, arguments: tuple[object, ...] = ()
) -> None:
    render(await client.analyze(picture, *arguments), seen)


def _quality(figures: QualityMeasures, seen: Seen) -> None:
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


def _grade(high: bool, medium: bool) -> Literal["low", "medium", "high"]:
    return "high" if high else "medium" if medium else "low"


def _describe(error: PanoptesError) -> str:
    """An image's own problem as the clients of the analysis API know it: a name, a colon, what to do."""
    kind = type(error).__name__
    if isinstance(error, FetchFailed):
        kind = "ImageFetchError"
    elif isinstance(error, InvalidRequest) and not isinstance(error, UrlRefused):
        kind = "ImageDecodeError"
    return f"{kind}: {error.message}"
