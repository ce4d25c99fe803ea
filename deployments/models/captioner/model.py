"""Captions through BLIP (Li et al. 2022, arXiv:2201.12086). No Ray in here."""

from typing import Any, ClassVar

from torch import Tensor
from transformers import AutoProcessor, BlipForConditionalGeneration

from deployments.runtime.pretrained.model import GeneratingModel


class CaptionerModel(GeneratingModel[str]):
    """One sentence per picture, decoded greedily."""

    MODEL: ClassVar[Any] = BlipForConditionalGeneration
    PROCESSOR: ClassVar[Any] = AutoProcessor

    def _compute(self, pixels: Tensor) -> list[str]:
        return [text.strip() for text in self._write(pixels, self._max_tokens)]
