"""What CLIP answers. The ingress and the jobs read this without torch and without Ray."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.models.clip.map_rule import Decision

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TextEmbeddings:
    """`vectors`: (n, d), L2-normalised; `tokens`: of all texts together."""

    vectors: Floats
    tokens: int


@dataclass(frozen=True)
class Classified:
    """The decision on each of n images, and where they were asked for their embeddings, (n, d), L2-normalised."""

    decisions: list[Decision]
    vectors: Floats | None
