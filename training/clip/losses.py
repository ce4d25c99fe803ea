"""The losses of CLIP's training."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def contrastive(logits: Tensor, truth: Tensor) -> Tensor:
    """CLIP's loss where an image may match several texts: each right text competes with the wrong ones only.

    Args:
        logits: (images, texts).
        truth: bool of the same shape, whether the text is true of the image.
    """
    losses = []
    for scores, right in ((logits, truth), (logits.T, truth.T)):
        wrong = scores.masked_fill(right, -torch.inf).logsumexp(dim=1, keepdim=True)
        usable = right & wrong.isfinite()
        # The fewer images a text is true of, the more it says: "a red star" weighs more than "other content"
        weights = usable / right.sum(dim=0, keepdim=True).clamp(min=1)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
        rows = usable.any(dim=1)
        each = functional.softplus(wrong - scores).masked_fill(~usable, 0)
        losses.append((weights * each).sum(dim=1)[rows].mean())
    return (losses[0] + losses[1]) / 2


def class_logits(images: Tensor, texts: Tensor, groups: Sequence[Sequence[int]], scale: Tensor) -> Tensor:
    """Scores (images, classes) of classes by their ensembled prompts, as zero_shot computes them, with gradients.

    Args:
        images, texts: L2-normalised embeddings (n, d) and (m, d).
        groups: for each class the rows of its prompts in `texts`.
        scale: the inverse temperature.
    """
    classes = torch.stack([functional.normalize(texts[list(group)].mean(dim=0), dim=0) for group in groups])
    return scale * images @ classes.T
