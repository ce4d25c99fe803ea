"""The HTTP application with doubles of the models, without Ray: for tests of the code around the models."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from mmap import mmap
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from configs.settings import Settings, settings_from
from deployments.models.blur.answers import BlurMeasures
from deployments.models.clip.answers import Classified, TextEmbeddings
from deployments.models.clip.map_rule import decide
from deployments.models.clip.weights import ClipWeights
from deployments.models.clip.zero_shot import softmax
from deployments.models.detector.answers import FoundObject
from deployments.models.emotion.answers import Face
from deployments.models.llm.assessment import LlmAnswer, LlmPhotoAnalysis, LlmQuestion
from deployments.models.quality.answers import QualityMeasures
from deployments.models.tagger.answers import Tag
from deployments.models.text.answers import TextLine
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import ImageSpec
from deployments.runtime.weights import Weights
from deployments.runtime.worker import ModelStatus
from deployments.specs import all_specs
from deployments.video.deployment import FrameBatch, VideoFacts
from deployments.work.deployment import Job, Work
from serve_app.clients.catalogue import CataloguerClient
from serve_app.clients.client import FramesClient, ModelClient, ModelState, SharedPicture
from serve_app.clients.clip import ClipClient
from serve_app.clients.clustering import ClustererClient
from serve_app.clients.llm import LlmClient
from serve_app.clients.models import Models
from serve_app.clients.video import VideoClient
from serve_app.clients.work import WorkClient
from serve_app.ingress import make_api
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoder
from serve_app.services import Services
from testbed.replicas import replica_class

WEIGHTS = ClipWeights(
    id="test/double",
    source="bundled",
    architecture="none",
    repository=None,
    image=ImageSpec(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    dimensions=4,
)


class Scripted:
    """The settings of every double: `fails` is raised instead of an answer, `before` is awaited first."""

    fails: Exception | None = None
    before: Callable[[], Any] | None = None

    async def prepare(self) -> None:
        if self.before is not None:
            await self.before()
        if self.fails is not None:
            raise self.fails

    async def state(self) -> ModelState:
        names = [model.name for model in self.models]  # type: ignore[attr-defined]
        return ModelState(tuple(ModelStatus(name, "cpu", 1.0, queue=0, items=0, batches=0) for name in names), 1, None)


class ClipDouble(Scripted, ClipClient):
    """Answers at once: an image is its mean colour, a text its length."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Clip"], None)
        self.models = (WEIGHTS,)

    async def embed_images(self, pixels: Pixels) -> NDArray[np.float32]:
        await self.prepare()
        means = pixels.reshape(len(pixels), -1, 3).mean(axis=1) + 1
        vectors = np.concatenate([means, np.ones((len(pixels), 1))], axis=1)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        await self.prepare()
        vectors = np.array([[len(text), 1, 1, 1] for text in texts], np.float32)
        return TextEmbeddings(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), len(texts))

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> NDArray[np.float32]:
        await self.embed_images(pixels)
        return np.tile(np.arange(len(classes), dtype=np.float32), (len(pixels), 1))

    async def classify(self, pixels: Pixels, prompt_set: str, *, vectors: bool = False) -> Classified:
        found = await self.embed_images(pixels)
        logits = await self.score(pixels, [[], [], []])
        return Classified([decide(row) for row in softmax(logits).tolist()], found if vectors else None)


class AnalyzerDouble(Scripted, FramesClient[Any]):
    """Answers with `figures`, and remembers the shapes of the pictures that it saw, and what else it was told."""

    def __init__(self, name: str, *models: str, figures: object) -> None:
        super().__init__(all_specs()[name], None)
        self.models = tuple(Weights(model, "a double", f"test/{model}", "bundled") for model in models)
        self.figures, self.seen = figures, list[tuple[int, ...]]()
        self.told: list[tuple[object, ...]] = []

    async def analyze(self, picture: SharedPicture, *arguments: object) -> Any:
        self.announce()
        await self.prepare()
        self.seen.append((await picture.hand_over()).shape)
        self.told.append(arguments)
        return self.figures

    async def analyze_frames(self, frames: Pixels, *arguments: object) -> Any:
        await self.prepare()
        self.seen.append(frames.shape)
        self.told.append(arguments)
        return self.figures


class DetectorDouble(AnalyzerDouble):
    """Finds one more object in the second frame of a video."""

    async def analyze_frames(self, frames: Pixels, *arguments: object) -> Any:
        found = await super().analyze_frames(frames, *arguments)
        return [found, [*found, found[0]], found][: len(frames)]


class WorkDouble(Scripted, WorkClient):
    """Keeps job records as the real deployment does."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Work"], None)
        self.models = (Weights("work", "a double", "test/work", "builtin"),)
        self._work = replica_class(Work)(most=3)

    async def record(self, job: Job) -> None:
        await self.prepare()
        await self._work.record(job)

    async def jobs(self) -> list[Job]:
        await self.prepare()
        return await self._work.jobs()


class CataloguerDouble(Scripted, CataloguerClient):
    """Counts how often it is woken."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Cataloguer"], None)
        self.models = (Weights("cataloguer", "a double", "test/cataloguer", "builtin"),)
        self.woken = 0

    async def wake(self) -> None:
        await self.prepare()
        self.woken += 1


class VideoDouble(Scripted, VideoClient):
    """A video with one grey frame per byte of the file, one second apart; the byte is the frame's brightness."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Video"], None)
        self.models = (Weights("video", "a double", "test/video", "builtin"),)
        self.asked: list[float] = []

    async def put(self, data: bytes | mmap) -> Any:
        return data

    async def frames(
        self, video: Any, step_s: float, most: int, size: int, *, crop: bool = True
    ) -> AsyncGenerator[FrameBatch]:
        await self.prepare()
        facts = VideoFacts(len(video), 4, 4, step_s, complete=True, reader="pyav")
        for second, value in enumerate(video):
            yield FrameBatch(facts, [float(second)], np.full((1, size, size, 3), value, np.uint8), [value])

    async def frame_jpegs(self, video: Any, times_s: list[float], max_side: int, digests: list[int]) -> list[bytes]:
        assert digests == [video[int(moment)] for moment in times_s]
        self.asked += times_s
        return [b"jpeg of %d" % video[int(moment)] for moment in times_s]


class ClustererDouble(Scripted, ClustererClient):
    """Answers with the length of the request."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Clusterer"], None)
        self.models = (Weights("clusterer", "a double", "test/clusterer", "builtin"),)

    async def cluster(self, chunks: AsyncIterator[bytes]) -> bytes:
        self.announce()
        await self.prepare()
        return b'{"bytes": %d}' % sum([len(chunk) async for chunk in chunks])


class LlmDouble(Scripted, LlmClient):
    """Gives every picture a good assessment, and remembers the questions."""

    def __init__(self) -> None:
        super().__init__(all_specs()["Llm"], None)
        self.models = (Weights("llm", "a double", "test/llm", "provider"),)
        self.questions: list[LlmQuestion] = []

    async def analyze(self, question: LlmQuestion) -> LlmAnswer:
        await self.prepare()
        self.questions.append(question)
        analysis = LlmPhotoAnalysis(overall_score=8, composition="centered", background_quality="calm", summary="Fine.")
        return LlmAnswer(analysis, "test/llm-1", 42, 7)


CUP, TABLE = FoundObject("cup", (0.25, 0.5, 0.75, 1.0)), FoundObject("table", (0.0, 0.5, 1.0, 1.0))
LINE = TextLine("Oudegracht", 0.75, ((1.0, 2.0), (31.0, 2.0), (31.0, 12.0), (1.0, 12.0)))
HAPPY = Face("happy", {"happy": 90.0, "sad": 10.0}, 0.9, {"x": 1, "y": 2, "w": 30, "h": 40})


class Doubles(Models):
    """A double for every model."""

    if TYPE_CHECKING:
        clip: ClipDouble
        tagger: AnalyzerDouble
        detector: DetectorDouble
        video: VideoDouble
        clusterer: ClustererDouble
        llm: LlmDouble
        work: WorkDouble
        cataloguer: CataloguerDouble

    def __init__(self) -> None:
        super().__init__({})
        doubles: list[ModelClient] = [
            ClipDouble(),
            AnalyzerDouble("Blur", "blur", figures=BlurMeasures(312.5, 150.0)),
            AnalyzerDouble("Quality", "pyiqa_brisque", figures=QualityMeasures(14.0, 6.5, 5.5)),
            AnalyzerDouble("Emotion", "deepface", figures=[HAPPY]),
            AnalyzerDouble("Tagger", "tagger", figures=[Tag("espresso", 0.75), Tag("cup", 0.125)]),
            AnalyzerDouble("Captioner", "captioner", figures="a cup on a table"),
            AnalyzerDouble("Text", "text", figures=[LINE]),
            DetectorDouble("Detector", "detector", figures=[TABLE, CUP, CUP]),
            VideoDouble(),
            ClustererDouble(),
            LlmDouble(),
            WorkDouble(),
            CataloguerDouble(),
        ]
        for double in doubles:
            self.replace(double)

    def replace(self, client: ModelClient) -> None:
        """Use this client instead of the current one for the same deployment."""
        self._clients[client.deployment] = client

    @property
    def blur(self) -> AnalyzerDouble:
        return cast("AnalyzerDouble", self["Blur"])

    @property
    def quality(self) -> AnalyzerDouble:
        return cast("AnalyzerDouble", self["Quality"])

    @property
    def emotion(self) -> AnalyzerDouble:
        return cast("AnalyzerDouble", self["Emotion"])

    @property
    def text(self) -> AnalyzerDouble:
        return cast("AnalyzerDouble", self["Text"])

    @property
    def captioner(self) -> AnalyzerDouble:
        return cast("AnalyzerDouble", self["Captioner"])


@asynccontextmanager
async def client(
    clip: ClipClient | None = None, models: Models | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of an application with these settings; the rate limit is off unless they switch it on."""
    with TemporaryDirectory() as folder:  # never the catalogue of whoever runs the tests
        own = {"database_url": SecretStr(f"sqlite:///{folder}/catalogue.db"), "store_url": folder}
        async with _connected(
            settings_from({"rate_limit_enabled": False, **own, **settings}), clip, models
        ) as connected:
            yield connected


@asynccontextmanager
async def _connected(
    chosen: Settings, clip: ClipClient | None, models: Models | None
) -> AsyncIterator[httpx.AsyncClient]:
    chosen_models = models or Doubles()
    if clip:
        assert isinstance(chosen_models, Doubles)
        chosen_models.replace(clip)
    services = Services(
        settings=chosen,
        models=chosen_models,
        decoder=Decoder(1, chosen.limits.max_pixels),
        fetcher=Fetcher(allow_private=[], max_bytes=chosen.fetch.max_bytes, timeout_s=2),
    )
    application = make_api(services)
    transport = httpx.ASGITransport(cast("Any", application))
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as connected,
    ):
        yield connected
