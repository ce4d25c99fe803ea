"""The drawn scenes that CLIP learns from, and how batches of them are varied."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from training.clip.model import IMAGE_SIZE, PREPROCESS
from training.cores import on_every_core
from training.scenes import CATEGORIES, Category, Split, draw_scene, generator, random_kind

STORED_SIZE = 128  # of the drawn scenes: larger than IMAGE_SIZE, so that batches can crop them
# "miscellaneous" is the widest of the three, and drawings stand in for its photographs only roughly
SHARES: dict[Category, float] = {"maps": 0.17, "aerial_satellite": 0.17, "miscellaneous": 0.66}
SCENES_PER_TASK = 50


@dataclass(frozen=True)
class Pool:
    """n drawn scenes.

    Attributes:
        pixels: uint8 (n, STORED_SIZE, STORED_SIZE, 3).
        categories: for each scene the index of its category in CATEGORIES.
        captions: the true captions of each scene.
        labels: for each scene the default category of /categorize that it shows, if any.
    """

    pixels: Pixels
    categories: NDArray[np.int64]
    captions: list[tuple[str, ...]]
    labels: list[str | None]


def draw_part(seed: int, first: int, count: int) -> Pool:
    """Draw the scenes `first` to `first + count` of a training seed."""
    pixels = np.empty((count, STORED_SIZE, STORED_SIZE, 3), np.uint8)
    categories, captions, labels = np.empty(count, np.int64), [], []
    for row in range(count):
        rng = generator(Split.TRAINING, seed, first + row)
        category = CATEGORIES[int(rng.choice(len(CATEGORIES), p=[SHARES[name] for name in CATEGORIES]))]
        scene = draw_scene(rng, random_kind(rng, category))
        pixels[row] = fit(scene.image, STORED_SIZE)
        categories[row] = CATEGORIES.index(category)
        captions.append(scene.captions)
        labels.append(scene.label)
    return Pool(pixels, categories, captions, labels)


def draw_pool(seed: int, count: int) -> Pool:
    """Draw a pool of scenes on every core of the cluster; always the same pool for the same seed and count."""
    return on_every_core(draw_part, together, seed, count, SCENES_PER_TASK)


def together(parts: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    return Pool(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.categories for part in parts]),
        [captions for part in parts for captions in part.captions],
        [label for part in parts for label in part.labels],
    )


def augmented(pixels: Pixels, rng: np.random.Generator) -> Tensor:
    """A batch of stored scenes as the network takes it: cropped, brighter or darker, sometimes coarser.

    Returns:
        (n, 3, IMAGE_SIZE, IMAGE_SIZE), normalised.
    """
    side = int(rng.integers(STORED_SIZE * 3 // 4, STORED_SIZE + 1))
    corners = rng.integers(0, STORED_SIZE - side + 1, (len(pixels), 2))
    cut = [image[y : y + side, x : x + side] for image, (y, x) in zip(pixels, corners, strict=True)]
    batch = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255
    if rng.random() < 0.15:
        batch = functional.interpolate(batch, size=int(rng.integers(40, 90)), mode="bilinear", antialias=True)
    batch = functional.interpolate(batch, size=IMAGE_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
    spread = torch.from_numpy(rng.uniform(-1, 1, (3, len(pixels), 1, 1, 1)).astype(np.float32))
    batch = (batch - 0.5) * (1 + 0.15 * spread[0]) + 0.5 + 0.08 * spread[1]
    mean, std = (torch.tensor(PREPROCESS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    return ((batch.clamp(0, 1) - mean) / std).contiguous(memory_format=torch.channels_last)


def composites(front: Pixels, back: Pixels, rng: np.random.Generator) -> Tensor:
    """Close-ups in random colours, cut out with a soft, irregular outline, in front of other pictures.

    Args:
        front, back: uint8 (n, STORED_SIZE, STORED_SIZE, 3).

    Returns:
        (n, 3, IMAGE_SIZE, IMAGE_SIZE), normalised.
    """
    count, side = len(front), int(rng.integers(STORED_SIZE // 2, STORED_SIZE))
    x, y = rng.integers(0, STORED_SIZE - side + 1, 2)
    near = torch.from_numpy(front[:, y : y + side, x : x + side]).permute(0, 3, 1, 2).float() / 255
    near = functional.interpolate(near, size=STORED_SIZE, mode="bicubic", antialias=True)[:, rng.permutation(3)]
    near = near * torch.from_numpy(rng.uniform(0.6, 1.4, (count, 3, 1, 1)).astype(np.float32))
    far = torch.from_numpy(back).permute(0, 3, 1, 2).float() / 255
    mask = _irregular_discs(count, rng)[:, None]
    mixed = ((near * mask + far * (1 - mask)).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()
    return augmented(mixed, rng)


def _irregular_discs(count: int, rng: np.random.Generator) -> Tensor:
    """Masks (count, STORED_SIZE, STORED_SIZE), 0–1, of discs with soft, irregular edges."""
    grid = torch.linspace(-1, 1, STORED_SIZE)
    centre, radius = (
        torch.from_numpy(rng.uniform(low, high, (count, 2, 1, 1)).astype(np.float32))
        for low, high in ((-0.35, 0.35), (0.45, 1.2))
    )
    distance = ((grid[None, :, None] - centre[:, 0]) / radius[:, 0]) ** 2
    distance = distance + ((grid[None, None, :] - centre[:, 1]) / radius[:, 1]) ** 2
    waver = torch.from_numpy(rng.normal(0, 0.35, (count, 1, 6, 6)).astype(np.float32))
    waver = functional.interpolate(waver, size=STORED_SIZE, mode="bicubic")[:, 0]
    return torch.sigmoid((1 - distance + waver) * float(rng.uniform(6, 40)))
