"""Handles of models for the jobs: what they say follows from the pixels, and each can be told to fail.

Run as a program it is a job over them: for each line on its input it forks a process that analyses, prints its pid, and
then how it ended.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import load_settings
from deployments.models.blur.answers import BlurMeasures
from deployments.models.clip.answers import Classified
from deployments.models.clip.map_rule import decide
from deployments.models.clip.weights import ClipWeights
from deployments.models.clip.zero_shot import softmax
from deployments.models.detector.answers import FoundObject
from deployments.models.emotion.answers import Face
from deployments.models.quality.answers import QualityMeasures
from deployments.models.tagger.answers import Tag
from deployments.models.text.answers import TextLine
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import ImageSpec
from deployments.runtime.weights import Weights
from jobs.analyze.__main__ import analyze, parse, parse_analyses
from jobs.analyze.working import deployments

CLIP = ClipWeights(
    id="test/clip",
    source="bundled",
    architecture="none",
    repository=None,
    image=ImageSpec(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    dimensions=4,
)
EMOTIONS = ("happy", "sad")
Fails = Callable[[str, tuple[Any, ...]], Exception | None]


class Answer:
    """What a handle's `remote` gives."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._work, self.cancelled = work, False

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work().__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Method:
    def __init__(self, handle: "Handle", name: str) -> None:
        self._handle, self._name = handle, name

    def remote(self, *arguments: Any, **options: Any) -> Answer:
        async def work() -> Any:
            handle = self._handle
            handle.calls[self._name] += 1
            handle.running += 1
            handle.most = max(handle.most, handle.running)
            try:
                await asyncio.sleep(random.random() * handle.slow_s)
                if handle.fails and (error := handle.fails(self._name, arguments)):
                    raise error
                return getattr(handle, f"say_{self._name}")(*arguments, **options)
            finally:
                handle.running -= 1

        return Answer(work)


class Handle:
    """A double of a deployment's handle. `fails` is asked for an error before each answer.

    Attributes:
        calls: how often each method was asked.
        most: most calls at a time.
    """

    served: tuple[Weights, ...]
    fails: Fails | None
    slow_s: float

    def __init__(self, *served: Weights) -> None:
        self.served, self.fails, self.slow_s = served, None, 0.0
        self.calls: Counter[str] = Counter()
        self.running = self.most = 0

    def __getattr__(self, name: str) -> Method:
        if name.startswith("say_"):
            raise AttributeError(name)
        return Method(self, name)

    def say_weights(self) -> tuple[Weights, ...]:
        return self.served


class ClipHandle(Handle):
    def say_embed_images(self, pixels: Pixels) -> NDArray[np.float32]:
        assert pixels.shape[1:] == (32, 32, 3)
        means = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        return np.concatenate([means, np.ones((len(pixels), 1))], axis=1).astype(np.float32)

    def say_classify(self, pixels: Pixels, prompt_set: str, *, vectors: bool) -> Classified:
        assert prompt_set == "default"
        found = self.say_embed_images(pixels)
        decisions = [decide(row) for row in softmax(np.asarray(found[:, :3] / 16, np.float32)).tolist()]
        return Classified(decisions, found if vectors else None)


class Blur(Handle):
    def say_analyze(self, picture: Pixels) -> BlurMeasures:
        return BlurMeasures(float(picture.mean()), float(picture.shape[1]))


class Quality(Handle):
    def say_analyze(self, picture: Pixels) -> QualityMeasures:
        return QualityMeasures(None if picture.std() == 0 else 20.0, 5.0, float(picture.max() / 51 + 1))


class Emotion(Handle):
    def say_analyze(self, picture: Pixels) -> list[Face]:
        scores = {"happy": 75.0, "sad": 25.0}
        return [Face("happy", scores, 0.5, {"x": 1, "y": 2, "w": 3, "h": 4})]


class Tagger(Handle):
    def say_analyze(self, picture: Pixels, count: int) -> list[Tag]:
        return [Tag(f"label {number}", 0.5**number) for number in range(1, count + 1)]


class Captioner(Handle):
    def say_analyze(self, picture: Pixels) -> str:
        return f"{picture.shape[1]} by {picture.shape[0]}"


class Text(Handle):
    def say_analyze(self, picture: Pixels) -> list[TextLine]:
        return [TextLine("Oudegracht", 0.5, ((0.0, 0.0), (8.0, 0.0), (8.0, 4.0), (0.0, 4.0)))]


class Detector(Handle):
    def say_analyze(self, picture: Pixels) -> list[FoundObject]:
        return [FoundObject("cat", (0.0, 0.25, 0.5, 1.0))]


def handles() -> dict[str, Any]:
    """A double of each deployment that a job asks, by its name."""

    def hub(name: str) -> Weights:
        return Weights(name, "test", f"test/{name}", "hub")

    return {
        "Clip": ClipHandle(CLIP),
        "Blur": Blur(hub("blur")),
        "Quality": Quality(*(hub(name) for name in ("brisque", "technical", "aesthetic"))),
        "Emotion": Emotion(hub("emotion")),
        "Tagger": Tagger(hub("tagger")),
        "Captioner": Captioner(hub("captioner")),
        "Detector": Detector(hub("detector")),
        "Text": Text(hub("text")),
    }


def main() -> None:
    options = parse(sys.argv[1:])
    wanted = {name: one for name, one in handles().items() if name in deployments(parse_analyses(options.analyses))}
    for one in wanted.values():
        one.slow_s = 0.02
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(analyze(options, load_settings(), wanted, 0))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
