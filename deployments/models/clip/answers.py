"""What CLIP answers. The ingress and the jobs read this without torch and without Ray."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TextEmbeddings:
    """`vectors`: (n, d), L2-normalised; `tokens`: of all texts together."""

    vectors: Floats
    tokens: int


@dataclass(frozen=True)
class ImageScores:
    """`vectors`: (images, d), L2-normalised; `logits`: (images, classes), cosine similarities times the temperature."""

    vectors: Floats
    logits: Floats
