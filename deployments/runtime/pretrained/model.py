"""Models that transformers loads: weights and processor from a folder or the hub, on one device. No Ray in here."""

import os
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.utils.logging import disable_progress_bar

from deployments.machine.devices import Device, keep_freed_memory
from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.model import Model
from deployments.runtime.packed import pack_linears
from deployments.runtime.weights import PRETRAINED_FILES, PretrainedWeights, cached_checkpoint
from deployments.wire.foreign import foreign

Result = TypeVar("Result")
Value = TypeVar("Value")


class PretrainedModel(Model[Tensor, Result]):
    """A model and its processor.

    Attributes:
        weights: what is loaded.
    """

    MODEL: ClassVar[Any]  # the class of transformers
    PROCESSOR: ClassVar[Any]

    def __init__(self, weights: PretrainedWeights, device: Device) -> None:
        """Load and warm up.

        Raises:
            WeightsNotFound: the weights are neither on the disk nor reachable, or are incomplete.
        """
        started = time.perf_counter()
        self.weights, self.device, self.device_name = weights, device, device.name
        self._processor = _pretrained(self.PROCESSOR, weights)
        self._image_processor = getattr(self._processor, "image_processor", self._processor)
        model, report = _pretrained(
            self.MODEL, weights, dtype=torch.float32, output_loading_info=True, weights_only=True
        )
        if report["missing_keys"]:  # transformers would only warn and use random values
            missing = ", ".join(sorted(report["missing_keys"])[:3])
            raise WeightsNotFound(f"{weights.id} is no {self.MODEL.__name__}, it lacks {missing}. {_remedy(weights)}")
        self._model = model.eval().requires_grad_(False).to(device.torch_device, device.dtype)
        if device.torch_device.type == "cpu" and device.dtype == torch.float32:
            pack_linears(self._model)
        self._loaded()
        self.warm_up()
        keep_freed_memory()
        self.parts, self.load_times_s = (weights,), (time.perf_counter() - started,)

    def _loaded(self) -> None:
        """Hook for subclasses, called between loading and warm-up."""

    def warm_up(self) -> None:
        """Compute the result of one small picture; raises ModelFailed when the model or its device is broken."""
        self.results([self.prepare(np.zeros((32, 32, 3), np.uint8))])

    def prepare(self, image: Pixels) -> Tensor:
        """Preprocess an image (h, w, 3), RGB, to (3, rows, columns) float32. Thread-safe."""
        # A copy, because arrays from Ray are read-only. The layout is given, because it is ambiguous for a picture of
        # three rows.
        planes = torch.tensor(image).permute(2, 0, 1)
        made = self._image_processor(planes, return_tensors="pt", input_data_format="channels_first")
        pixels: Tensor = made["pixel_values"][0]
        return pixels

    def results(self, items: list[Tensor]) -> list[Result]:
        """The results of prepared images, in their order.

        Raises:
            ModelFailed: the forward pass failed or gave values that are not finite.
        """
        return self._guarded(self._compute, items)

    def _guarded(self, compute: Callable[[Tensor], Value], images: list[Tensor]) -> Value:
        try:
            with torch.inference_mode():
                return compute(torch.stack(images).to(self.device.torch_device, self.device.dtype))
        except RuntimeError as error:  # torch's out-of-memory and device errors are RuntimeErrors
            raise ModelFailed(f"{self.weights.id}: the forward pass failed: {foreign(error)}") from error

    @abstractmethod
    def _compute(self, pixels: Tensor) -> list[Result]:
        """The results of (n, 3, rows, columns)."""

    def _check_finite(self, values: Tensor) -> None:
        if not torch.isfinite(values).all():
            raise ModelFailed(f"{self.weights.id} gave values that are not finite")


class GeneratingModel(PretrainedModel[Result]):
    """A model that generates text by greedy decoding, at most `max_tokens` tokens."""

    SKIP_SPECIAL: ClassVar[bool] = True  # whether the tokenizer's special tokens are left out of the texts

    def __init__(self, weights: PretrainedWeights, device: Device, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        super().__init__(weights, device)

    def warm_up(self) -> None:
        """As `PretrainedModel.warm_up`, but only two tokens: a health check must be quick on a busy model."""
        blank = self.prepare(np.zeros((32, 32, 3), np.uint8))
        self._guarded(lambda pixels: self._write(pixels, 2), [blank])

    def _write(self, pixels: Tensor, max_tokens: int, **inputs: Tensor) -> list[str]:
        tokens = self._model.generate(
            pixel_values=pixels,
            max_new_tokens=max_tokens,
            num_beams=1,
            early_stopping=False,
            do_sample=False,
            logits_processor=LogitsProcessorList([_Finite(self.weights.id)]),
            **inputs,
        )
        texts: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=self.SKIP_SPECIAL)
        return texts


class _Finite(LogitsProcessor):
    """Raises ModelFailed for NaN scores, which generation would accept silently; -inf is valid and forbids a token."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if torch.isnan(scores).any():
            raise ModelFailed(f"{self._name} gave values that are not finite")
        return scores


def _pretrained(kind: Any, weights: PretrainedWeights, **options: Any) -> Any:
    # As for CLIP, cached files are used without asking the hub; if some are missing, the hub is asked after all.
    cached = weights.source != "hub" or cached_checkpoint(weights.location, weights.revision, PRETRAINED_FILES)
    options |= {"revision": weights.revision or "main"}
    # Read at each load: without it transformers asks the hub to convert a checkpoint that has no safetensors.
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        try:
            return kind.from_pretrained(weights.location, local_files_only=bool(cached), **options)
        except OSError:
            if weights.source != "hub" or not cached:
                raise
            return kind.from_pretrained(weights.location, **options)
    except Exception as error:  # transformers and safetensors raise errors of many types for a broken file
        raise WeightsNotFound(f"{weights.location} cannot be loaded ({foreign(error)}). {_remedy(weights)}") from error


def _remedy(weights: PretrainedWeights) -> str:
    if weights.source == "folder":
        return f"Correct the folder, or unset {weights.name.upper()}_MODEL_NAME."
    if weights.source == "bundled":
        return "Install Panoptes again, or set WEIGHTS=hub."
    return "Put the checkpoint into HF_HOME, allow the hub, or set WEIGHTS=bundled."
