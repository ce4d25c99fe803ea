"""The rule of the map classifier: from the probabilities of three categories to a decision.

It is applied in CLIP's replica, so that the route, the analysis and the jobs get the same decision.
"""

from dataclasses import dataclass

from configs.prompts import CATEGORIES, Category

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
