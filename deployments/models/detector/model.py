"""Objects through Florence-2 (Xiao et al. 2023, arXiv:2311.06242), the native class of transformers. No Ray in here."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoProcessor, Florence2ForConditionalGeneration

from deployments.models.detector.answers import FoundObject
from deployments.runtime.pretrained.model import GeneratingModel

Objects = list[FoundObject]

TASK = "<OD>"
UNIT = (1_000, 1_000)  # a picture's size in the model's coordinates


class DetectorModel(GeneratingModel[Objects]):
    """The objects in a picture with their boxes: Florence-2's task `<OD>`, decoded greedily."""

    MODEL: ClassVar[Any] = Florence2ForConditionalGeneration
    PROCESSOR: ClassVar[Any] = AutoProcessor
    SKIP_SPECIAL: ClassVar[bool] = False  # the processor parses them

    def _loaded(self) -> None:
        # The prompt, with its placeholders for the image, is the same for every picture.
        blank = torch.zeros(3, 8, 8, dtype=torch.uint8)
        self._prompt: Tensor = self._processor(text=TASK, images=blank, return_tensors="pt")["input_ids"]

    def _write(self, pixels: Tensor, max_tokens: int, **inputs: Tensor) -> list[str]:
        prompt = self._prompt.to(pixels.device).expand(len(pixels), -1)
        return super()._write(pixels, max_tokens, input_ids=prompt, attention_mask=torch.ones_like(prompt), **inputs)

    def _compute(self, pixels: Tensor) -> list[Objects]:
        return [self._objects(text) for text in self._write(pixels, self._max_tokens)]

    def _objects(self, text: str) -> Objects:
        found = self._processor.post_process_generation(text, task=TASK, image_size=UNIT)[TASK]
        return [FoundObject(label, _shares(box)) for label, box in zip(found["labels"], found["bboxes"], strict=True)]


def _shares(box: list[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (min(max(value / 1_000, 0.0), 1.0) for value in box)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)
