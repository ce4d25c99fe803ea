"""The CLIP deployment: classification, categories, embeddings and video frames all ask this one model."""

import asyncio
import logging
from collections import OrderedDict
from functools import partial

import numpy as np
from numpy.typing import NDArray
from ray import serve

from deployments.models.clip.answers import ImageScores, TextEmbeddings
from deployments.models.clip.zero_shot import ensemble
from deployments.pictures.pixels import Pixels
from deployments.runtime.metrics import ModelMetrics
from deployments.runtime.replica import ModelStatus, Worker
from deployments.runtime.weights import ClipWeights

logger = logging.getLogger("ray.serve.panoptes.clip")

Floats = NDArray[np.float32]

CACHED_TEXTS = 10_000
TEXT_CHUNK = 64


@serve.deployment
class Clip:
    """One replica: one model and what waits for it.

    Images arrive as uint8 arrays (n, size, size, 3) that `preprocessing.fit` made, with the size of the weights.
    """

    def __init__(
        self, weights: ClipWeights, dtypes: dict[str, str], threads: int, max_batch: int, served_texts: list[str]
    ) -> None:
        """Load and warm up; the embeddings of `served_texts`, the configured prompts, are ready before any request."""
        # torch is imported where a replica starts, so that whoever binds the application does not wait for it.
        from deployments.models.clip.model import ClipModel
        from deployments.runtime.devices import assigned_gpu_fraction, select

        device = select(dtypes, threads, assigned_gpu_fraction())
        self._model: ClipModel = ClipModel(weights, device)
        self._metrics = ModelMetrics(weights.id)
        self._worker: Worker[Pixels, Floats] = Worker(self._encode_images, self._model.warm_up, max_batch)
        self._encoding = asyncio.Lock()
        embeddings = self._model.encode_texts(served_texts)
        self._texts: OrderedDict[str, tuple[Floats, int]] = OrderedDict(
            (text, (embedding, self._model.count_tokens(text)))
            for text, embedding in zip(served_texts, embeddings, strict=True)
        )
        logger.info(
            "%s ready on %s with %d threads in %.1f s",
            weights.id, device.name, device.threads, self._model.load_time_s,
        )  # fmt: skip

    async def embed_images(self, pixels: Pixels) -> Floats:
        """(n, size, size, 3) -> (n, d), L2-normalised."""
        return np.stack(await self._worker.submit(list(pixels)))

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        """Embed texts; each is computed once and then remembered (the newest 10,000).

        Raises:
            PromptTooLong: a text does not fit; nothing was computed.
        """
        if not all(text in self._texts for text in texts):
            # One at a time, so that texts that many requests ask for at once are computed once.
            async with self._encoding:
                await self._encode_missing(list(dict.fromkeys(texts)))
        known = {text: self._texts[text] for text in texts}
        self._remember(known)
        return TextEmbeddings(np.stack([known[text][0] for text in texts]), sum(known[text][1] for text in texts))

    async def _encode_missing(self, texts: list[str]) -> None:
        # What is known already becomes the newest, so that the missing ones do not push it out.
        self._remember({text: self._texts[text] for text in texts if text in self._texts})
        missing = [text for text in texts if text not in self._texts]
        count = self._model.count_tokens
        lengths = await asyncio.to_thread(lambda: [count(text) for text in missing])
        # Chunk by chunk, so that images get their turn in between and a caller that left costs one chunk at most.
        for start in range(0, len(missing), TEXT_CHUNK):
            chunk = missing[start : start + TEXT_CHUNK]
            embeddings = await self._worker.run(partial(self._model.encode_texts, chunk))
            self._remember(dict(zip(chunk, zip(embeddings, lengths[start:], strict=False), strict=True)))

    def _remember(self, entries: dict[str, tuple[Floats, int]]) -> None:
        for text, entry in entries.items():
            self._texts[text] = entry
            self._texts.move_to_end(text)
        while len(self._texts) > max(CACHED_TEXTS, len(entries)):
            self._texts.popitem(last=False)

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> ImageScores:
        """Compare every image with every class, which is the ensemble of its prompts.

        Raises:
            PromptTooLong: a prompt does not fit; no image was computed.
        """
        # Texts first: a prompt that is too long is refused before any image is computed.
        texts = (await self.embed_texts([prompt for prompts in classes for prompt in prompts])).vectors
        images = await self.embed_images(pixels)
        ends = np.cumsum([len(prompts) for prompts in classes])
        means = np.stack(
            [ensemble(texts[end - len(prompts) : end]) for end, prompts in zip(ends, classes, strict=True)]
        )
        return ImageScores(images, np.asarray(self._model.logit_scale * images @ means.T, dtype=np.float32))

    async def weights(self) -> ClipWeights:
        """What this replica serves."""
        return self._model.weights

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is; answers while the model computes."""
        return (self._worker.status("clip", self._model.device.name, self._model.load_time_s),)

    async def check_health(self) -> None:
        """Raises when the model or its device fails, so that Serve replaces the replica."""
        await self._worker.check_health()

    def _encode_images(self, images: list[Pixels]) -> list[Floats]:
        with self._metrics.batch(len(images)):
            return list(self._model.encode_images(images))
