"""BRISQUE's regression, in the format that pyiqa reads: support vectors and their coefficients.

pyiqa fixes everything else: the 36 features, the ranges they are scaled from, the kernel exp(-0.05 ‖a - b‖²) and the
constant 153.591 that is added to the sum. So no intercept is fitted: the regression learns how far below the constant a
picture scores. A picture unlike all of the training scores near the constant, which means bad.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pyiqa.archs import brisque_arch
from pyiqa.matlab_utils import imresize
from pyiqa.utils.color_util import to_y_channel

WEIGHTS = "brisque_svm_weights.pth"
GAMMA, CONSTANT = 0.05, 153.591
WORST = 100.0  # the score that a severity of 1 is given
KERNEL_SIZE, KERNEL_SIGMA = 7, 7 / 6
SUPPORT_VECTORS = 1_500
RIDGE = 0.01
Features = NDArray[np.floating]


def features(image: Image.Image) -> NDArray[np.float32]:
    """pyiqa's features (36,) of an RGB image, at its own size and at half of it, scaled as pyiqa scales them."""
    pixels = torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)[None]
    luma, found = to_y_channel(pixels, 255.0), []
    for _ in range(2):
        found.append(brisque_arch.natural_scene_statistics(luma, KERNEL_SIZE, KERNEL_SIGMA))
        luma = imresize(luma, scale=0.5, antialiasing=True)
    scaled: NDArray[np.float32] = brisque_arch.scale_features(torch.cat(found, dim=-1))[0].numpy()
    return scaled


def kernel(first: Features, second: Features) -> Features:
    """pyiqa's kernel between every row of (n, 36) and every row of (m, 36): (n, m)."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.exp(-GAMMA * np.maximum(squares, 0)))


def fit(seen: Features, severities: Features, seed: int) -> tuple[Features, Features]:
    """Kernel ridge regression on SUPPORT_VECTORS of the given features, or on all where there are fewer.

    Args:
        seen: (n, 36), as `features` gives them; rows that are not finite are left out.
        severities: (n,), 0–1.

    Returns:
        Coefficients (m,) and support vectors (m, 36).
    """
    usable = np.isfinite(seen).all(axis=1)
    seen, target = seen[usable].astype(np.float64), severities[usable] * WORST - CONSTANT
    chosen = np.random.default_rng(seed).permutation(len(seen))[:SUPPORT_VECTORS]
    vectors = seen[chosen]
    between, within = kernel(seen, vectors), kernel(vectors, vectors)
    steadied = between.T @ between + RIDGE * within + 1e-6 * np.eye(len(vectors))
    return np.asarray(np.linalg.solve(steadied, between.T @ target)), vectors


def predict(seen: Features, coefficients: Features, vectors: Features) -> Features:
    """Scores (n,) of features (n, 36)."""
    return np.asarray(kernel(seen, vectors) @ coefficients + CONSTANT)


def save(coefficients: Features, vectors: Features, folder: Path) -> None:
    """Write the pair of tensors that pyiqa's BRISQUE loads from its `pretrained_model_path`."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = tuple(torch.from_numpy(values.astype(np.float32)) for values in (coefficients, vectors))
    torch.save(pair, folder / WEIGHTS)


def load(folder: Path) -> torch.nn.Module:
    """pyiqa's BRISQUE with the weights of a folder that `save` wrote."""
    network: torch.nn.Module = brisque_arch.BRISQUE(pretrained_model_path=str(folder / WEIGHTS))
    return network
