"""The answer of the tagger. The ingress and the jobs import it without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tag:
    """`probability`: 0–1, over all labels of the model."""

    label: str
    probability: float


def best(labels: Sequence[str], probabilities: NDArray[np.float32], count: int) -> list[Tag]:
    """The `count` most probable labels, the most probable first; `probabilities` (k,) are those of the k labels."""
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [Tag(labels[index], float(probabilities[index])) for index in order]
