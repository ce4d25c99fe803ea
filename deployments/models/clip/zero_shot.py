"""Zero-shot classification: image and text embeddings in, probabilities out (Radford et al. 2021, arXiv:2103.00020)."""

import numpy as np

from deployments.models.clip.answers import Floats


def ensemble(prompt_embeddings: Floats) -> Floats:
    """The embedding of a class: the mean of its prompts' embeddings, L2-normalised. (prompts, d) -> (d,)."""
    mean = prompt_embeddings.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float32)


def probabilities(images: Floats, classes: Floats, logit_scale: float) -> Floats:
    """Softmax over the classes of the scaled cosine similarities.

    Args:
        images: (n, d), L2-normalised.
        classes: (k, d), L2-normalised.
        logit_scale: the model's own temperature, already exponentiated (100 for OpenAI's weights).

    Returns:
        (n, k), each row sums to 1.
    """
    return softmax(np.asarray(logit_scale * images @ classes.T, dtype=np.float32))
