"""The ingress's client of CLIP. Pixels are arrays (n, size, size, 3) that `Decoder` made."""

from typing import cast

from deployments.models.clip.answers import Classified, Floats, TextEmbeddings
from deployments.models.clip.weights import ClipWeights
from deployments.pictures.pixels import Pixels
from serve_app.clients.calls import answer
from serve_app.clients.client import ModelClient


class ClipClient(ModelClient):
    """CLIP."""

    @property
    def weights(self) -> ClipWeights:
        """The weights that are served; ModelDisabled when CLIP is switched off."""
        self.announce()
        return cast("ClipWeights", self.models[0])

    async def embed_images(self, pixels: Pixels) -> Floats:
        """(n, size, size, 3) -> (n, d), L2-normalised."""
        return await answer(self.deployment, lambda: self._use(pixels.nbytes).embed_images.remote(pixels))

    async def embed_texts(self, texts: list[str]) -> TextEmbeddings:
        """Embed texts; InvalidPrompt for one that does not fit."""
        return await answer(self.deployment, lambda: self._use().embed_texts.remote(texts))

    async def score(self, pixels: Pixels, classes: list[list[str]]) -> Floats:
        """(n images, k classes) logits; a class is the list of its prompts. InvalidPrompt as above."""
        return await answer(self.deployment, lambda: self._use(pixels.nbytes).score.remote(pixels, classes))

    async def classify(self, pixels: Pixels, prompt_set: str, *, vectors: bool = False) -> Classified:
        """The decision of the map rule on each image, and with `vectors` its embedding."""
        return await answer(
            self.deployment,
            lambda: self._use(pixels.nbytes).classify.remote(pixels, prompt_set, vectors=vectors),
        )
