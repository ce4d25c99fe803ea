"""The bundled tagger: `python -m training tagger`, a small ResNet that says which kind of scene a picture is.

Ray tasks draw a pool of scenes, every class equally often; the network learns their classes until the time is up.
Pictures are squeezed into a square and not cropped to one, so that the edges of wide ones are seen too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

from configs.project import BUNDLED
from deployments.pictures.pixels import Pixels
from training.budget import Budget
from training.cards import command
from training.cores import on_every_core
from training.drawing.wording import class_of
from training.scenes import Split, scene_in_turn
from training.steps import descend, learning_rate, run_for
from training.tagger.card import write_card
from training.tagger.scenes import CLASSES, KINDS_OF
from training.weights import halved

OUTPUT = BUNDLED / "tagger-scenes-v1"
SIDE = 96
STORED_SIDE = 128  # of the drawn scenes: larger than SIDE, so that batches can crop them
MODEL: dict[str, Any] = {
    "embedding_size": 24,
    "hidden_sizes": [24, 48, 96, 192],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
}
SCENES_PER_MINUTE = 600
SCENES_PER_TASK = 50
BATCH = 64
PEAK_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Pool:
    """Drawn scenes: uint8 (n, STORED_SIDE, STORED_SIDE, 3), and for each the index of its class in CLASSES."""

    pixels: Pixels
    labels: NDArray[np.int64]


def draw_part(seed: int, first: int, count: int) -> Pool:
    """Draw the scenes `first` to `first + count` of a training seed: the classes in turn."""
    pixels, labels = np.empty((count, STORED_SIDE, STORED_SIDE, 3), np.uint8), np.empty(count, np.int64)
    for row in range(count):
        scene = scene_in_turn(KINDS_OF, Split.TRAINING, seed, first + row)
        pixels[row] = np.asarray(scene.image.resize((STORED_SIDE, STORED_SIDE), Image.Resampling.BILINEAR))
        labels[row] = CLASSES.index(class_of(scene.kind))
    return Pool(pixels, labels)


def together(parts: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    return Pool(np.concatenate([part.pixels for part in parts]), np.concatenate([part.labels for part in parts]))


def augmented(pixels: Pixels, rng: np.random.Generator) -> Tensor:
    """A batch of stored scenes as the network takes it: cropped, brighter or darker, sometimes coarser.

    Returns:
        (n, 3, SIDE, SIDE), -1 to 1.
    """
    wide, high = rng.integers(STORED_SIDE * 4 // 5, STORED_SIDE + 1, 2)
    x, y = (rng.integers(0, STORED_SIDE - extent + 1, len(pixels)) for extent in (wide, high))
    cut = [image[v : v + high, u : u + wide] for image, u, v in zip(pixels, x, y, strict=True)]
    batch = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255
    if rng.random() < 0.1:
        batch = functional.interpolate(batch, size=int(rng.integers(56, 100)), mode="bilinear", antialias=True)
    batch = functional.interpolate(batch, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    spread = torch.from_numpy(rng.uniform(-1, 1, (2, len(pixels), 1, 1, 1)).astype(np.float32))
    batch = (batch - 0.5) * (1 + 0.15 * spread[0]) + 0.5 + 0.08 * spread[1]
    return (batch.clamp(0, 1) * 2 - 1).contiguous(memory_format=torch.channels_last)


def fresh_model() -> ResNetForImageClassification:
    """The network with random weights, its classes in its configuration."""
    names = dict(enumerate(CLASSES))
    config = ResNetConfig(**MODEL, id2label=names, label2id={name: index for index, name in names.items()})
    return ResNetForImageClassification(config)


class Trainer:
    """A network that learns from a pool of scenes, step by step."""

    def __init__(self, pool: Pool, seed: int) -> None:
        torch.manual_seed(seed)
        self.model: ResNetForImageClassification = fresh_model().train().to(memory_format=torch.channels_last)
        self.pool, self.labels, self.rng = pool, torch.from_numpy(pool.labels), np.random.default_rng(seed)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.05)

    def step(self, progress: float) -> float:
        """Learn from one batch; `progress` (0–1) sets the learning rate. Returns the loss."""
        rows = self.rng.integers(0, len(self.labels), BATCH)
        logits = self.model(augmented(self.pool.pixels[rows], self.rng)).logits
        loss = functional.cross_entropy(logits, self.labels[rows], label_smoothing=0.05)
        return descend(self.optimizer, learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.03, first=0.02), loss)


def train(pool: Pool, seed: int, seconds: float) -> ResNetForImageClassification:
    """Train for `seconds`; returns the network, in evaluation mode."""
    trainer = Trainer(pool, seed)
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.labels):.1f} rounds", flush=True)
    trainer.model.train(False)
    return trainer.model


def save(model: ResNetForImageClassification, folder: Path) -> None:
    """Write a folder that transformers' Auto classes read, the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, state_dict=halved(model))
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor.save_pretrained(folder)


def run(folder: Path, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network, and write its card."""
    budget = Budget(minutes)
    pool = on_every_core(draw_part, together, seed, round(SCENES_PER_MINUTE * minutes), SCENES_PER_TASK)
    scenes = f"{len(pool.labels)} scenes"
    budget.report(f"{scenes} drawn")
    save(train(pool, seed, budget.left()), folder)
    print(write_card(folder, f"{command('tagger', minutes, seed)}: {scenes}", seed))
