"""Calls into the deployments: what they raise becomes our errors, what they used becomes the weights header."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
import ray
from numpy.typing import NDArray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.models.clip.answers import ImageScores, TextEmbeddings
from deployments.models.detector.answers import FoundObject
from deployments.models.llm.assessment import LlmQuestion
from deployments.models.llm.deployment import LlmAnswer
from deployments.models.tagger.answers import Tag
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelStatus
from deployments.runtime.weights import ClipWeights, Weights
from deployments.video.deployment import FrameBatch
from deployments.work.deployment import Job
from serve_app.clients.calls import CALL_ERRORS, NO_ANSWER, RETRIES, Call, answer, has_ended, ours, pause
from serve_app.http import errors
from serve_app.http.middleware import weights_used

if TYPE_CHECKING:
    from deployments.models.blur.answers import BlurMeasures
    from deployments.models.emotion.answers import Face
    from deployments.models.quality.answers import QualityMeasures

STATUS_TIMEOUT_S = 3.0
# An argument goes into the message itself, which costs less than the object store, up to half of gRPC's limit.
LARGEST_VALUE = 2 * 1024 * 1024
REPLICAS_REMEMBERED_S = 2.0
QUALITY_MODELS = ("pyiqa_brisque", "pyiqa_nima_technical", "pyiqa_nima_aesthetic")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Deployed:
    """A deployment that is bound into the application, and the models that it serves."""

    handle: DeploymentHandle[Any]
    models: tuple[Weights, ...]


@dataclass(frozen=True)
class ModelState:
    """What /health and /v1/models say of a deployment's models, in their order.

    `statuses` is None when it does not answer; `error` then says why.
    """

    statuses: tuple[ModelStatus, ...] | None
    replicas: int
    error: str | None


class ModelClient:
    """The ingress's view of a deployment.

    Attributes:
        deployment: its name in the Serve config; `<NAME>_ENABLED` switches it on and off.
        names: the models' own names, which stand in /health even when it is switched off.
        models: what it serves; empty when it is switched off.
    """

    def __init__(self, deployment: str, names: tuple[str, ...], deployed: Deployed | None) -> None:
        self.deployment, self.names = deployment, names
        self.models = deployed.models if deployed else ()
        self._handle = deployed.handle if deployed else None
        self._by_value = deployed.handle.options(_by_reference=False) if deployed else None

    @property
    def enabled(self) -> bool:
        return bool(self.models)

    def announce(self) -> None:
        """Say in the weights header that these models help to answer; ModelDisabled when they are switched off."""
        if not self.enabled:
            raise errors.ModelDisabled(f"{self._off}: ask the operator to enable it.")
        weights_used.get().update(f"{model.name}={model.id}" for model in self.models if model.has_weights)

    async def state(self) -> ModelState:
        """How the models are, within a few seconds even when they are not there."""
        if self._handle is None:
            return ModelState(None, 0, self._off)
        replicas = 0
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                replicas = (await running_replicas.get()).get(self.deployment, 0)
                if not replicas:
                    why = f"no replica is running yet: see the logs of the deployment {self.deployment}"
                    return ModelState(None, 0, why)
                return ModelState(await self._handle.status.remote(), replicas, None)
        except NO_ANSWER as error:
            return ModelState(None, replicas, f"does not answer ({type(error).__name__})")

    @property
    def _off(self) -> str:
        return f"{self.deployment} is switched off here ({self.deployment.upper()}_ENABLED=false)"

    def _use(self, bytes_sent: int = 0) -> DeploymentHandle[Any]:
        self.announce()
        return cast("DeploymentHandle[Any]", self._handle if bytes_sent > LARGEST_VALUE else self._by_value)


class ClipClient(ModelClient):
    """CLIP; pixels are (n, size, size, 3) uint8 that `Decoder` made."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Clip", ("clip",), deployed)

    @property
    def weights(self) -> ClipWeights:
        """The weights that are served; ModelDisabled when CLIP is switched off."""
        self.announce()
        return cast("ClipWeights", self.models[0])

    async def embed_images(self, pixels: Pixels) -> NDArray[np.float32]:
        """(n, size, size, 3) -> (n, d), L2-normalised."""
        return await answer(self.deployment, lambda: self._use(pixels.nbytes).embed_images.remote(pixels))

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        """Embed texts; InvalidPrompt for one that does not fit."""
        return await answer(self.deployment, lambda: self._use().embed_texts.remote(texts))

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> ImageScores:
        """Embeddings, and (n images, k classes) logits; a class is the list of its prompts. InvalidPrompt as above."""
        return await answer(self.deployment, lambda: self._use(pixels.nbytes).score.remote(pixels, classes))


class SharedPicture:
    """A decoded image on its way to the analysers: handed over once, however many of them look at it.

    Attributes:
        width, height: of `pixels`, (h, w, 3) uint8, RGB, upright.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.nbytes = pixels.nbytes
        self.height, self.width = pixels.shape[:2]
        self._pixels: Any = pixels
        self._putting = asyncio.Lock()

    async def hand_over(self) -> Any:
        """What a deployment is called with, as `_put`."""
        async with self._putting:
            if isinstance(self._pixels, np.ndarray):
                self._pixels = await _put(self._pixels)
        return self._pixels


async def _put(pixels: Pixels) -> Any:
    """What a deployment is called with: a large array's place in the object store, a small one itself."""
    return await asyncio.to_thread(ray.put, pixels) if pixels.nbytes > LARGEST_VALUE else pixels


class AnalyzerClient(ModelClient, Generic[Value]):
    """A deployment that looks at a whole picture."""

    async def analyze(self, picture: SharedPicture, *arguments: object) -> Value:
        """What it says of the picture."""
        handle, pixels = self._use(picture.nbytes), await picture.hand_over()
        return await answer(self.deployment, lambda: handle.analyze.remote(pixels, *arguments))


class TaggerClient(AnalyzerClient[list[Tag]]):
    """Labels of pictures: `analyze(picture, count)`."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Tagger", ("tagger",), deployed)

    async def analyze_frames(self, frames: Pixels, count: int) -> list[Tag]:
        """The `count` labels that are most probable in the mean of a video's frames (n, h, w, 3)."""
        handle, pixels = self._use(frames.nbytes), await _put(frames)
        return await answer(self.deployment, lambda: handle.analyze_frames.remote(pixels, count))


class DetectorClient(AnalyzerClient[list[FoundObject]]):
    """Things in pictures."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Detector", ("detector",), deployed)

    async def analyze_frames(self, frames: Pixels) -> list[list[FoundObject]]:
        """The things in each of a video's frames (n, h, w, 3)."""
        handle, pixels = self._use(frames.nbytes), await _put(frames)
        return await answer(self.deployment, lambda: handle.analyze_frames.remote(pixels))


class WorkClient(ModelClient):
    """The record of jobs. It is no model, and stands in no list of them."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Work", ("work",), deployed)

    async def record(self, job: Job) -> None:
        """Remember how a job is; Unavailable when nobody answers within a few seconds."""
        await self._soon(lambda: self._use().record.remote(job))

    async def jobs(self) -> list[Job]:
        """The newest jobs, newest first; raises as `record`."""
        return await self._soon(self._use().jobs.remote)

    async def _soon(self, ask: Callable[[], Call[Value]]) -> Value:
        # A handle waits for as long as no replica runs.
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                return await answer(self.deployment, ask)
        except TimeoutError:
            raise errors.ModelUnavailable("The record of jobs does not answer: try again.", retry_after_s=5) from None


class CataloguerClient(ModelClient):
    """The catalogue's workers. They are no model, and stand in no list of them."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Cataloguer", ("cataloguer",), deployed)

    async def wake(self) -> None:
        """Say that there is an upload. A worker that does not hear it finds it a little later."""
        with contextlib.suppress(*NO_ANSWER):
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                await self._use().wake.remote()


class ClustererClient(ModelClient):
    """Clustering: the bytes of a request in, the bytes of its answer out."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Clusterer", ("clusterer",), deployed)

    async def cluster(self, body: bytes) -> bytes:
        """The answer to a ClusterRequest in JSON; ValidationFailed for one that is not valid."""
        return await answer(self.deployment, lambda: self._use(len(body)).cluster.remote(body))


class LlmClient(ModelClient):
    """The vision language model."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Llm", ("llm",), deployed)

    async def analyze(self, question: LlmQuestion) -> LlmAnswer:
        """Ask; LlmFailed, LlmUnparsable, LlmUnknown or LlmWithoutKey when there is no answer."""
        handle = self._use(len(question.jpeg))
        said: LlmAnswer = await answer(self.deployment, lambda: handle.analyze.remote(question), retries=0)
        weights_used.get().add(f"llm={said.model_used}")
        return said


class VideoClient(ModelClient):
    """Frames of videos; a video is handed over once, by `put`."""

    def __init__(self, deployed: Deployed | None) -> None:
        super().__init__("Video", ("video",), deployed)

    async def put(self, data: bytes) -> Any:
        """A video's place in the object store: both of the others look at it there."""
        return await asyncio.to_thread(ray.put, np.frombuffer(data, np.uint8))

    async def frames(
        self, video: Any, step_s: float, most: int, size: int, *, crop: bool = True
    ) -> AsyncGenerator[FrameBatch]:
        """Batches of frames, one each `step_s` seconds, at most `most`; `size` and `crop` as in `Video.frames`.

        Raises:
            InvalidVideo, VideoTooLarge: before the first batch.
        """
        handle = cast("DeploymentHandle[Any]", self._handle).options(stream=True)
        given, retries = 0, RETRIES
        while True:
            batches: Any = handle.frames.remote(video, step_s, most, size, crop)
            number = 0
            try:
                # A stream that was cut off is asked for anew; what was given of it is not given again.
                async for batch in batches:
                    number += 1
                    if number > given:
                        given = number
                        yield batch
                return
            except CALL_ERRORS as error:
                if not (retries and has_ended(error)):
                    raise ours(error) from error
            finally:
                batches.cancel()  # of a caller that is gone; its reader would go on
            retries -= 1
            await pause(self.deployment)

    async def frame_jpegs(self, video: Any, times_s: list[float], max_side: int) -> list[bytes]:
        """JPEGs of the frames at these times, in their order."""
        handle = cast("DeploymentHandle[Any]", self._handle)
        return await answer(self.deployment, lambda: handle.frame_jpegs.remote(video, times_s, max_side))


class Models:
    """Every deployment that the ingress may ask, by the name of its setting."""

    def __init__(self, deployed: dict[str, Deployed]) -> None:
        """`deployed`: what is bound, by the deployment's name; the others are switched off."""
        self.clip = ClipClient(deployed.get("Clip"))
        self.blur: AnalyzerClient[BlurMeasures] = AnalyzerClient("Blur", ("blur",), deployed.get("Blur"))
        self.quality: AnalyzerClient[QualityMeasures] = AnalyzerClient(
            "Quality", QUALITY_MODELS, deployed.get("Quality")
        )
        self.emotion: AnalyzerClient[list[Face]] = AnalyzerClient("Emotion", ("deepface",), deployed.get("Emotion"))
        self.tagger = TaggerClient(deployed.get("Tagger"))
        self.captioner: AnalyzerClient[str] = AnalyzerClient("Captioner", ("captioner",), deployed.get("Captioner"))
        self.detector = DetectorClient(deployed.get("Detector"))
        self.video = VideoClient(deployed.get("Video"))
        self.clusterer = ClustererClient(deployed.get("Clusterer"))
        self.llm = LlmClient(deployed.get("Llm"))
        self.work = WorkClient(deployed.get("Work"))
        self.cataloguer = CataloguerClient(deployed.get("Cataloguer"))

    def all(self) -> tuple[ModelClient, ...]:
        """Every model's client, CLIP first."""
        return (
            self.clip, self.blur, self.quality, self.emotion, self.tagger, self.captioner, self.detector, self.video,
            self.clusterer, self.llm,
        )  # fmt: skip


class RunningReplicas:
    """Replicas of this application's deployments that take requests: asked once for all of them, and remembered."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._at = -REPLICAS_REMEMBERED_S
        self._asking = asyncio.Lock()

    async def get(self) -> dict[str, int]:
        """By deployment, at most two seconds old."""
        async with self._asking:
            if time.monotonic() - self._at > REPLICAS_REMEMBERED_S:
                self._counts = await asyncio.to_thread(_count_replicas)
                self._at = time.monotonic()
        return self._counts


def _count_replicas() -> dict[str, int]:
    application = serve.status().applications.get(serve.get_replica_context().app_name)
    deployments = application.deployments if application else {}
    return {
        name: sum(count for state, count in overview.replica_states.items() if state == "RUNNING")
        for name, overview in deployments.items()
    }


running_replicas = RunningReplicas()
