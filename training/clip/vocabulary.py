"""Every text that CLIP meets in training, and which of them are true of which scene."""

import re
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor

from configs.prompts import Prompts
from training.clip.pool import Pool
from training.drawing.colours import NAMED
from training.drawing.families.drawings import with_article
from training.scenes import CATEGORIES

PHOTO = "a photograph"  # a caption of every scene that stands in for a photograph


@dataclass(frozen=True)
class Vocabulary:
    """Every text of the training.

    Attributes:
        tokens: int64 (texts, 77).
        truth: bool (scenes, texts), whether the caption is true of the scene.
        recoloured: for each text the indices of the same text with other colours.
        photos: the indices of the scenes that stand in for photographs.
        prompt_sets: for each prompt set the text indices of each category's prompts, in the order of CATEGORIES.
        labels: the text indices of /categorize's default categories.
        label_of: int64 (scenes,), for each scene its index in `labels`; -100, which losses ignore, without one.
    """

    tokens: Tensor
    truth: Tensor
    recoloured: list[list[int]]
    photos: NDArray[np.int64]
    prompt_sets: list[list[list[int]]]
    labels: list[int]
    label_of: Tensor


def make_vocabulary(pool: Pool, prompts: Prompts) -> Vocabulary:
    """Index every caption of the pool and every prompt of the configuration."""
    sets = list(prompts.classifier.values())
    served = {prompt for prompt_set in sets for group in prompt_set.values() for prompt in group}
    texts = sorted(served | set(prompts.categories) | {text for captions in pool.captions for text in captions})
    index = {text: number for number, text in enumerate(texts)}
    truth = torch.zeros(len(pool.captions), len(texts), dtype=torch.bool)
    for row, captions in enumerate(pool.captions):
        truth[row, [index[caption] for caption in captions]] = True
    labels = prompts.categories
    return Vocabulary(
        open_clip.SimpleTokenizer()(texts),
        truth,
        [[index[other] for other in in_other_colours(text) if other in index] for text in texts],
        truth[:, index[PHOTO]].nonzero().flatten().numpy(),
        [[[index[prompt] for prompt in prompt_set[name]] for name in CATEGORIES] for prompt_set in sets],
        [index[label] for label in labels],
        torch.tensor([labels.index(label) if label in labels else -100 for label in pool.labels]),
    )


def in_other_colours(text: str) -> list[str]:
    """ "a red car" -> "an orange car", "a blue car", …; nothing for a text without a colour."""
    for colour in NAMED:
        if re.search(rf"\b{colour}\b", text):
            others = [other for other in NAMED if other != colour]
            return [
                text.replace(with_article(colour), with_article(other)).replace(f" {colour}", f" {other}")
                for other in others
            ]
    return []
