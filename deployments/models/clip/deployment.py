"""The CLIP deployment: one model for classification, categories, embeddings and video frames."""

import asyncio
from collections import OrderedDict
from functools import partial

import numpy as np
from ray import serve

from configs.prompts import CATEGORIES, load_prompts
from deployments.models.clip.answers import Classified, Floats, TextEmbeddings
from deployments.models.clip.map_rule import decide
from deployments.models.clip.weights import ClipWeights
from deployments.models.clip.zero_shot import ensemble, probabilities
from deployments.pictures.pixels import Pixels
from deployments.runtime.replica import ModelReplica

CACHED_TEXTS = 10_000
TEXT_CHUNK = 64


@serve.deployment
class Clip(ModelReplica[Pixels, Floats]):
    """One replica. Images arrive as uint8 arrays (n, size, size, 3) that `preprocessing.fit` made."""

    def __init__(
        self, weights: ClipWeights, dtypes: dict[str, str], threads: int, max_batch: int, served_texts: list[str]
    ) -> None:
        """Load and warm up; the embeddings of `served_texts`, the configured prompts, are ready before any request."""
        # The process that binds the application imports this module and must not wait for torch.
        from deployments.machine.devices import assigned_gpu_fraction, select
        from deployments.models.clip.model import ClipModel

        self._model: ClipModel = ClipModel(weights, select(dtypes, threads, assigned_gpu_fraction()))
        super().__init__(self._model, max_batch)
        self._encoding = asyncio.Lock()
        self._texts: OrderedDict[str, tuple[Floats, int]] = OrderedDict(
            (text, (embedding, self._model.count_tokens(text)))
            for text, embedding in zip(served_texts, self._model.encode_texts(served_texts), strict=True)
        )
        # The class embeddings (3, d) of `CATEGORIES` by prompt set, kept because they are the same for every image.
        self._categories: dict[str, Floats] = {}

    async def embed_images(self, pixels: Pixels) -> Floats:
        """(n, size, size, 3) -> (n, d), L2-normalised."""
        return np.stack(await self._worker.submit(list(pixels)))

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        """Embed texts; each is computed once and then remembered (the newest 10,000).

        Raises:
            PromptTooLong: a text does not fit; nothing was computed.
        """
        if not all(text in self._texts for text in texts):
            # Under a lock, so that a text that several requests need at the same time is computed once.
            async with self._encoding:
                await self._encode_missing(list(dict.fromkeys(texts)))
        known = {text: self._texts[text] for text in texts}
        self._remember(known)
        return TextEmbeddings(np.stack([known[text][0] for text in texts]), sum(known[text][1] for text in texts))

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> Floats:
        """Compare every image with every class, which is the ensemble of its prompts.

        Returns:
            (n images, k classes) logits: cosine similarities times the model's temperature.

        Raises:
            PromptTooLong: a prompt does not fit; no image was computed.
        """
        # Texts first: a prompt that is too long is refused before any image is computed.
        means = await self._ensembles(classes)
        images = await self.embed_images(pixels)
        return np.asarray(self._model.logit_scale * images @ means.T, dtype=np.float32)

    async def classify(self, pixels: Pixels, prompt_set: str, *, vectors: bool = False) -> Classified:
        """Classify each image by the map rule.

        Args:
            pixels: (n, size, size, 3).
            prompt_set: its name in configs/prompts.yaml.
            vectors: whether to return the images' embeddings as well.
        """
        if prompt_set not in self._categories:
            prompts = load_prompts().classifier[prompt_set]
            self._categories[prompt_set] = await self._ensembles([list(prompts[name]) for name in CATEGORIES])
        images = await self.embed_images(pixels)
        found = probabilities(images, self._categories[prompt_set], self._model.logit_scale)
        return Classified([decide(row) for row in found.tolist()], images if vectors else None)

    async def _ensembles(self, classes: list[list[str]]) -> Floats:
        """The embeddings (k, d) of k classes."""
        texts = (await self.embed_texts([prompt for prompts in classes for prompt in prompts])).vectors
        ends = np.cumsum([len(prompts) for prompts in classes])
        return np.stack([ensemble(texts[end - len(prompts) : end]) for end, prompts in zip(ends, classes, strict=True)])

    async def _encode_missing(self, texts: list[str]) -> None:
        # Mark the cached texts as the newest, so that the missing ones do not evict them.
        self._remember({text: self._texts[text] for text in texts if text in self._texts})
        missing = [text for text in texts if text not in self._texts]
        count = self._model.count_tokens
        lengths = await asyncio.to_thread(lambda: [count(text) for text in missing])
        # In chunks, so that images are computed in between and a cancelled request costs one more chunk at most.
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
