"""The answers of CLIP. The ingress and the jobs import them without torch and without Ray."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.models.clip.map_rule import Decision

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TextEmbeddings:
    """`vectors`: (n, d), L2-normalised; `tokens`: the number of tokens of all texts together."""

    vectors: Floats
    tokens: int


@dataclass(frozen=True)
class Classified:
    """The decisions on n images. `vectors`: their embeddings (n, d), L2-normalised; None unless requested."""

    decisions: list[Decision]
    vectors: Floats | None
