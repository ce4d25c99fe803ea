"""Image classification through transformers: any AutoModelForImageClassification. No Ray in here."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import middle
from deployments.runtime.pretrained.model import PretrainedModel

Probabilities = NDArray[np.float32]


class TaggerModel(PretrainedModel[Probabilities]):
    """Probabilities (k,) of the model's labels, in its order. Without ImageNet's background they sum to less than 1.

    Attributes:
        labels: the k names.
    """

    MODEL: ClassVar[Any] = AutoModelForImageClassification
    PROCESSOR: ClassVar[Any] = AutoImageProcessor

    def _loaded(self) -> None:
        names = self._model.config.id2label
        # ImageNet's names are lists of synonyms; the first one is kept.
        self.labels = [str(names[index]).split(",", maxsplit=1)[0].strip() for index in range(len(names))]
        # A model with 1,001 classes has a background class first, which is no label.
        self._background = len(names) == 1001 and self.labels[0] == "background"
        if self._background:
            del self.labels[0]

    def prepare(self, image: Pixels) -> Tensor:
        """As `PretrainedModel.prepare`; a very long picture is cut to its middle, which contains the centre crop."""
        return super().prepare(image[middle(*image.shape[:2])])

    def _compute(self, pixels: Tensor) -> list[Probabilities]:
        logits = self._model(pixels).logits.float()
        self._check_finite(logits)
        return list(logits.softmax(dim=-1)[:, int(self._background) :].cpu().numpy())
