"""Objects through Florence-2 (Xiao et al. 2023, arXiv:2311.06242), the native class of transformers. No Ray in here."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoProcessor, Florence2ForConditionalGeneration

from deployments.devices import Device
from deployments.pretrained_model import PretrainedModel
from deployments.tags import FoundObject
from deployments.weights import PretrainedWeights

Objects = list[FoundObject]

TASK = "<OD>"
UNIT = (1_000, 1_000)  # the size of a picture in the model's own coordinates


class DetectorModel(PretrainedModel[Objects]):
    """The things in a picture with their boxes: Florence-2's task `<OD>`, greedy."""

    MODEL: ClassVar[Any] = Florence2ForConditionalGeneration
    PROCESSOR: ClassVar[Any] = AutoProcessor

    def __init__(self, weights: PretrainedWeights, device: Device, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        super().__init__(weights, device)

    def _loaded(self) -> None:
        # The task's words and the places of the image are the same for every picture.
        blank = torch.zeros(3, 8, 8, dtype=torch.uint8)
        self._prompt: Tensor = self._processor(text=TASK, images=blank, return_tensors="pt")["input_ids"]

    def _compute(self, pixels: Tensor) -> list[Objects]:
        prompt = self._prompt.to(pixels.device).expand(len(pixels), -1)
        tokens = self._model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            pixel_values=pixels,
            max_new_tokens=self._max_tokens,
            num_beams=1,
            early_stopping=False,
            do_sample=False,
        )
        return [self._objects(text) for text in self._processor.batch_decode(tokens, skip_special_tokens=False)]

    def _objects(self, text: str) -> Objects:
        found = self._processor.post_process_generation(text, task=TASK, image_size=UNIT)[TASK]
        return [FoundObject(label, _shares(box)) for label, box in zip(found["labels"], found["bboxes"], strict=True)]


def _shares(box: list[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (min(max(value / 1_000, 0.0), 1.0) for value in box)
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)
