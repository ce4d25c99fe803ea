"""CLIP through open_clip (Radford et al. 2021, arXiv:2103.00020): images and texts into one space. No Ray in here."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.pretrained import download_pretrained_from_hf

from deployments.machine.devices import Device, keep_freed_memory
from deployments.models.clip.answers import Floats
from deployments.models.clip.weights import ClipWeights
from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelFailed, PromptTooLong, WeightsNotFound
from deployments.runtime.model import Model
from deployments.runtime.packed import pack
from deployments.runtime.weights import cached_checkpoint
from deployments.wire.foreign import foreign

TEXT_BATCH = 16  # 16 texts have as many tokens as 25 images: they need no more memory than a batch of images
LONGEST_TEXT = 2_000  # characters


class ClipModel(Model[Pixels, Floats]):
    """One CLIP model on one device.

    Attributes:
        weights: what is loaded.
        logit_scale: the model's temperature; probabilities are softmax(logit_scale × cosine).
    """

    def __init__(self, weights: ClipWeights, device: Device) -> None:
        """Load and warm up.

        Raises:
            WeightsNotFound: the checkpoint is neither cached nor reachable, or its input size is not as in models.yaml.
        """
        started = time.perf_counter()
        self.weights, self.device, self.device_name = weights, device, device.name
        self._model: Any = _load(weights).eval().requires_grad_(False).to(device.torch_device, device.dtype)
        if device.torch_device.type == "cpu" and device.dtype == torch.float32:
            pack(self._model)
        self._tokenizer: Any = open_clip.get_tokenizer(weights.architecture)
        self._context: int = self._tokenizer.context_length
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (weights.image.mean, weights.image.std))
        self._mean, self._std = mean.to(device.torch_device), std.to(device.torch_device)
        self.logit_scale = float(self._model.logit_scale.exp())
        self.warm_up()
        keep_freed_memory()
        self.parts, self.load_times_s = (weights,), (time.perf_counter() - started,)

    def warm_up(self) -> None:
        """One forward pass of each tower; raises ModelFailed when the model or its device is broken."""
        size = self.weights.image.size
        self.encode_images([np.zeros((size, size, 3), np.uint8)])
        self.encode_texts(["a photo"])

    def results(self, items: list[Pixels]) -> list[Floats]:
        """The embedding (d,) of each image, as `encode_images` computes them."""
        return list(self.encode_images(items))

    def encode_images(self, images: list[Pixels]) -> Floats:
        """Embed images that `preprocessing.fit` made.

        Args:
            images: n uint8 arrays (size, size, 3), RGB, with the size of `weights.image`.

        Returns:
            (n, d) float32, L2-normalised.

        Raises:
            ValueError: an image has another shape.
            ModelFailed: the forward pass failed or gave values that are not finite.
        """
        expected = (self.weights.image.size, self.weights.image.size, 3)
        if any(image.shape != expected for image in images):
            raise ValueError(f"an image has another shape than {expected}: make it with preprocessing.fit")
        pixels = torch.from_numpy(np.stack(images))

        def encode() -> torch.Tensor:
            moved = pixels.to(self.device.torch_device).permute(0, 3, 1, 2).float()
            features: torch.Tensor = self._model.encode_image(((moved - self._mean) / self._std).to(self.device.dtype))
            return features

        return self._forward(encode)

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text, including the start and end tokens.

        Raises:
            PromptTooLong: the text has more tokens than the model reads; it is never truncated.
        """
        # The tokenizer's time grows with the square of a word's length: a text that cannot fit is not tokenized at all.
        tokens = len(self._tokenizer.encode(text)) + 2 if len(text) <= LONGEST_TEXT else math.inf
        if tokens > self._context:
            raise PromptTooLong(text[:60], self._context)
        return int(tokens)

    def encode_texts(self, texts: list[str]) -> Floats:
        """Embed texts: (n, d) float32, L2-normalised. Raises ModelFailed as encode_images does."""
        batches = [texts[start : start + TEXT_BATCH] for start in range(0, len(texts), TEXT_BATCH)]
        return np.concatenate([self._encode(batch) for batch in batches])

    def _encode(self, texts: list[str]) -> Floats:
        tokens = self._tokenizer(texts)
        return self._forward(lambda: self._model.encode_text(tokens.to(self.device.torch_device)))

    def _forward(self, encode: Callable[[], torch.Tensor]) -> Floats:
        try:
            with torch.inference_mode():
                features = encode()
                unit = torch.nn.functional.normalize(features.float(), dim=-1).cpu()
        except RuntimeError as error:  # torch's out-of-memory and device errors are RuntimeErrors
            raise ModelFailed(f"{self.weights.id}: the forward pass failed: {foreign(error)}") from error
        if not torch.isfinite(unit).all():
            raise ModelFailed(f"{self.weights.id} gave an embedding that is not finite")
        return np.asarray(unit.numpy(), dtype=np.float32)


def _load(weights: ClipWeights) -> open_clip.CLIP:
    # require_pretrained: without it a missing checkpoint becomes a random model and a warning.
    if weights.repository is None:
        model = open_clip.create_model(weights.architecture, require_pretrained=True)
    else:
        checkpoint = _download(weights.repository, weights.revision)
        model = open_clip.create_model(
            weights.architecture, pretrained=checkpoint, require_pretrained=True, weights_only=True
        )
    size = model.visual.image_size
    if tuple(size if isinstance(size, tuple) else (size, size)) != (weights.image.size, weights.image.size):
        raise WeightsNotFound(f"{weights.id} takes {size} px, not {weights.image.size}: correct configs/models.yaml")
    return model


def _download(repository: str, revision: str | None) -> str:
    """The path of a checkpoint in the local cache, downloaded when it is not there."""
    # A cached checkpoint is used without asking the hub: a start must not depend on the hub, and all replicas must
    # serve the same commit.
    if cached := cached_checkpoint(repository, revision):
        return cached
    try:
        return str(download_pretrained_from_hf(repository, revision=revision))
    except OSError as error:
        raise WeightsNotFound(
            f"{repository} is not in the local Hugging Face cache and the hub cannot be reached ({foreign(error)}). "
            "Put the checkpoint into HF_HOME, allow the hub, or set WEIGHTS=bundled."
        ) from error
