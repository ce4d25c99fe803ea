"""Image classification through transformers: any AutoModelForImageClassification. No Ray in here."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification

from deployments.preprocessing import without_ends
from deployments.pretrained_model import Pixels, PretrainedModel

Probabilities = NDArray[np.float32]


class TaggerModel(PretrainedModel[Probabilities]):
    """Probabilities (k,) of the model's own labels, in its order."""

    MODEL: ClassVar[Any] = AutoModelForImageClassification
    PROCESSOR: ClassVar[Any] = AutoImageProcessor

    def _loaded(self) -> None:
        names = self._model.config.id2label
        # ImageNet's names are lists of synonyms.
        self.labels = [str(names[index]).split(",", maxsplit=1)[0].strip() for index in range(len(names))]

    def prepare(self, image: Pixels) -> Tensor:
        """As `PretrainedModel.prepare`; of a very long picture the middle, which is all that would be left of it."""
        return super().prepare(np.asarray(without_ends(Image.fromarray(image))))

    def _compute(self, pixels: Tensor) -> list[Probabilities]:
        logits = self._model(pixels).logits.float()
        self._check_finite(logits)
        return list(logits.softmax(dim=-1).cpu().numpy())
