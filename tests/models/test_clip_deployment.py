"""The CLIP deployment without Serve: its cache of texts, its health check, the effects of a failure."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from deployments.models.clip import deployment as clip
from deployments.models.clip.deployment import Clip
from deployments.models.clip.weights import choose_clip
from deployments.runtime.errors import ModelFailed, PromptTooLong
from testbed.replicas import replica_class
from tests.models.test_clip_model import ENTRY, OPENAI


@pytest.fixture
def replica() -> Any:
    return replica_class(Clip)(choose_clip(ENTRY, OPENAI, "bundled"), ENTRY.dtype, 2, 8, ["served"])


def watch_texts(replica: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts that the model is asked for, call by call, filled in as it is asked."""
    asked: list[list[str]] = []
    encode = replica._model.encode_texts

    def watched(texts: list[str]) -> Any:
        asked.append(texts)
        return encode(texts)

    monkeypatch.setattr(replica._model, "encode_texts", watched)
    return asked


async def test_texts_are_computed_once(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = watch_texts(replica, monkeypatch)
    first = await replica.embed_texts(["a map", "a dog", "a map"])
    second = await replica.embed_texts(["a dog", "a cat"])
    assert asked == [["a map", "a dog"], ["a cat"]]
    assert (first.vectors[0] == first.vectors[2]).all()
    assert (second.vectors[0] == first.vectors[1]).all()
    assert (first.tokens, second.tokens) == (12, 8)


async def test_the_oldest_texts_are_forgotten(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "CACHED_TEXTS", 2)
    for text in ("one", "two", "one", "three"):
        await replica.embed_texts([text])
    assert list(replica._texts) == ["one", "three"]


async def test_a_text_in_many_simultaneous_requests_is_computed_once(
    replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = watch_texts(replica, monkeypatch)
    await asyncio.gather(*(replica.embed_texts(["a map", "served"]) for _ in range(8)))
    assert asked == [["a map"]]


async def test_a_text_that_is_too_long_is_refused_before_anything_is_computed(replica: Any) -> None:
    pixels = np.zeros((1, 8, 8, 3), np.uint8)  # of a wrong size: it would fail if it were looked at
    with pytest.raises(PromptTooLong):
        await replica.score(pixels, [["fine"], ["word " * 80]])


async def test_a_model_that_works_is_healthy_while_idle(replica: Any) -> None:
    replica._worker._last_success = time.monotonic() - 1000
    await replica.check_health()
    assert time.monotonic() - replica._worker._last_success < 60


@pytest.fixture
def left(replica: Any, monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Why the replica would have ended its process, each time."""
    reasons: list[Exception] = []
    monkeypatch.setattr(replica._worker, "_leave", reasons.append)
    return reasons


async def test_a_replica_whose_device_broke_leaves_at_once(
    replica: Any, monkeypatch: pytest.MonkeyPatch, left: list[Exception]
) -> None:
    def broken(_images: Any) -> Any:
        raise ModelFailed("CUDA error: an illegal memory access was encountered")

    size = replica._model.weights.image.size
    pixels = np.zeros((1, size, size, 3), np.uint8)
    await replica.embed_images(pixels)
    await replica.check_health()
    monkeypatch.setattr(replica._model, "encode_images", broken)
    with pytest.raises(ModelFailed):
        await replica.embed_images(pixels)
    assert [str(reason) for reason in left] == ["CUDA error: an illegal memory access was encountered"]


async def test_a_replica_that_fails_on_one_image_alone_stays(
    replica: Any, monkeypatch: pytest.MonkeyPatch, left: list[Exception]
) -> None:
    size, encode = replica._model.weights.image.size, replica._model.encode_images
    good, bad = np.zeros((size, size, 3), np.uint8), np.full((size, size, 3), 255, np.uint8)

    def picky(images: list[Any]) -> Any:
        if any(image.all() for image in images):
            raise ModelFailed("an embedding is not finite")
        return encode(images)

    monkeypatch.setattr(replica._model, "encode_images", picky)
    asked = [replica.embed_images(np.stack([image])) for image in (good, bad, good)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [np.ndarray, ModelFailed, np.ndarray]
    await replica.check_health()
    assert left == []


async def test_an_image_of_a_wrong_size_fails_alone(replica: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        await replica.embed_images([np.zeros((8, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)])
    size = replica._model.weights.image.size
    assert (await replica.embed_images(np.zeros((2, size, size, 3), np.uint8))).shape == (2, 512)
