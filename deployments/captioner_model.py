"""Captions through BLIP (Li et al. 2022, arXiv:2201.12086). No Ray in here."""

from typing import Any, ClassVar

from torch import Tensor
from transformers import AutoProcessor, BlipForConditionalGeneration

from deployments.devices import Device
from deployments.pretrained_model import PretrainedModel
from deployments.weights import PretrainedWeights


class CaptionerModel(PretrainedModel[str]):
    """One sentence a picture, the most probable word at each place (greedy)."""

    MODEL: ClassVar[Any] = BlipForConditionalGeneration
    PROCESSOR: ClassVar[Any] = AutoProcessor

    def __init__(self, weights: PretrainedWeights, device: Device, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        super().__init__(weights, device)

    def _compute(self, pixels: Tensor) -> list[str]:
        tokens = self._model.generate(
            pixel_values=pixels, max_new_tokens=self._max_tokens, num_beams=1, do_sample=False
        )
        return [text.strip() for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]
