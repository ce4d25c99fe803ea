"""The rule of the map classifier: from three probabilities to a decision."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.prompts import CATEGORIES, Category, load_prompts
from deployments.zero_shot import softmax
from serve_app.services import Services

MAP_THRESHOLD = 0.4
MISCELLANEOUS_THRESHOLD = 0.6


@dataclass(frozen=True)
class Decision:
    """`confidence` is the probability of `category`, the most probable of the three."""

    category: Category
    confidence: float
    is_map_or_aerial: bool
    probabilities: dict[str, float]


def decide(probabilities: list[float]) -> Decision:
    """The decision for the probabilities of `CATEGORIES`."""
    maps, aerial, miscellaneous = probabilities
    wanted = (maps > MAP_THRESHOLD or aerial > MAP_THRESHOLD) and miscellaneous < MISCELLANEOUS_THRESHOLD
    confidence, category = max(zip(probabilities, CATEGORIES, strict=True))
    return Decision(category, confidence, wanted, dict(zip(CATEGORIES, probabilities, strict=True)))


async def classify(services: Services, pixels: NDArray[np.uint8]) -> tuple[Decision, NDArray[np.float32]]:
    """Ask CLIP about one image, (size, size, 3): the decision by the served prompts, and its embedding (d,)."""
    prompts = load_prompts().classifier[services.settings.prompt_set]
    scores = await services.clip.score(pixels[None], [list(prompts[category]) for category in CATEGORIES])
    return decide(softmax(scores.logits[0]).tolist()), scores.vectors[0]
