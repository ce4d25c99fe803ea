"""Pictures go to the model in batches, and every caller gets its own result or the error of its batch."""

import asyncio
from collections.abc import Iterable

import numpy as np
import pytest

from deployments.models.clip.answers import Classified
from deployments.models.clip.map_rule import decide
from deployments.models.clip.zero_shot import softmax
from deployments.pictures.pixels import Pixels
from jobs.koop.classifier import ClassifiedPicture, Classifier


def picture(value: int) -> Pixels:
    return np.full((4, 4, 3), value, np.uint8)


class Model:
    """Answers with the value of each picture once released; fails for 255. `batches` are the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.may = asyncio.Event()

    async def classify(self, pixels: Pixels) -> Classified:
        self.batches.append(len(pixels))
        await self.may.wait()
        if (pixels == 255).any():
            raise RuntimeError("away")
        values = pixels[:, 0, 0, :1].astype(np.float32)
        found = softmax(np.concatenate([values, np.zeros((len(values), 2), np.float32)], axis=1))
        return Classified([decide(row) for row in found.tolist()], values)


def values(classified: Iterable[ClassifiedPicture]) -> list[float]:
    return [float(one.embedding[0]) for one in classified]


async def test_waiting_pictures_form_a_batch_and_each_caller_gets_its_result() -> None:
    model = Model()
    classifier = Classifier(model.classify, 4)
    waiting = [asyncio.create_task(classifier.classify(picture(value))) for value in range(10)]
    await asyncio.sleep(0)
    model.may.set()
    assert values(await asyncio.gather(*waiting)) == list(range(10))
    assert model.batches == [4, 4, 2]
    assert (await classifier.classify(picture(3))).decision.category == "maps"
    assert (await classifier.classify(picture(0))).decision.confidence == pytest.approx(1 / 3)


async def test_an_error_reaches_only_the_callers_of_its_batch() -> None:
    model = Model()
    classifier = Classifier(model.classify, 2)
    first = [asyncio.create_task(classifier.classify(picture(value))) for value in (255, 2)]
    await asyncio.sleep(0.01)
    second = asyncio.create_task(classifier.classify(picture(3)))
    await asyncio.sleep(0)
    model.may.set()
    outcomes = await asyncio.gather(*first, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["away", "away"]
    assert values([await second]) == [3]


async def test_a_cancelled_picture_is_not_classified() -> None:
    model = Model()
    classifier = Classifier(model.classify, 1)
    first, left, last = (asyncio.create_task(classifier.classify(picture(value))) for value in (1, 2, 3))
    await asyncio.sleep(0.01)
    left.cancel()
    model.may.set()
    assert values(await asyncio.gather(first, last)) == [1, 3]
    assert model.batches == [1, 1]
