"""Ask CLIP what a picture is, and decide by the rule of the map classifier."""

import numpy as np
from numpy.typing import NDArray

from configs.prompts import CATEGORIES, load_prompts
from deployments.models.clip.map_rule import Decision, decide
from deployments.models.clip.settings import ClipSettings
from deployments.models.clip.zero_shot import softmax
from deployments.pictures.pixels import Pixels
from serve_app.services import Services


async def classify(services: Services, pixels: Pixels) -> tuple[Decision, NDArray[np.float32]]:
    """Ask CLIP about one image, (size, size, 3): the decision by the served prompts, and its embedding (d,)."""
    prompts = load_prompts().classifier[services.settings.of(ClipSettings).prompt_set]
    scores = await services.clip.score(pixels[None], [list(prompts[category]) for category in CATEGORIES])
    return decide(softmax(scores.logits[0]).tolist()), scores.vectors[0]
