"""The bundled emotion network: `python -m training emotion`, in the format of DeepFace's ONNX engine.

Ray tasks draw faces and cut each out in two ways: as DeepFace's own detector finds it, if it does, and by squares that
are a little off. A small network learns the emotion from 48 × 48 grey pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from configs.project import BUNDLED
from training.budget import Budget
from training.cards import command
from training.cores import on_every_core
from training.drawing.expressions import EMOTIONS
from training.drawing.faces import draw_face
from training.emotion.card import write_card
from training.emotion.crops import Grey, detected, loose
from training.emotion.network import EmotionNetwork, save
from training.scenes import Split, generator
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "emotion-faces-v1"
FACES_PER_MINUTE = 500
FACES_PER_TASK = 100
LOOSE_CROPS = 2  # of each face, in addition to the detector's own
BATCH = 64
PEAK_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Crops:
    """Faces as the network takes them: float32 (n, SIDE, SIDE, 1), 0–1, and for each the index of its emotion."""

    pixels: Grey
    emotions: NDArray[np.int64]


def draw_crops(seed: int, first: int, count: int) -> Crops:
    """Draw the faces `first` to `first + count` of a training seed and cut each out in several ways."""
    pixels, emotions = [], []
    for index in range(first, first + count):
        rng = generator(Split.TRAINING, seed, index)
        face = draw_face(rng, EMOTIONS[index % len(EMOTIONS)])
        found = detected(face)
        cut = [*([] if found is None else [found]), *(loose(rng, face) for _ in range(LOOSE_CROPS))]
        pixels += cut
        emotions += [EMOTIONS.index(face.emotion)] * len(cut)
    return Crops(np.stack(pixels), np.array(emotions))


def together(parts: Sequence[Crops]) -> Crops:
    """Several pools as one."""
    return Crops(np.concatenate([part.pixels for part in parts]), np.concatenate([part.emotions for part in parts]))


def augmented(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Crops (n, SIDE, SIDE, 1), mirrored, shifted, brighter or darker, with a little noise."""
    count = len(pixels)
    turned = torch.from_numpy(rng.random(count) < 0.5)
    pixels = torch.where(turned[:, None, None, None], pixels.flip(2), pixels)
    shift = rng.integers(-2, 3, 2).tolist()
    spread = torch.from_numpy(rng.uniform(-1, 1, (2, count, 1, 1, 1)).astype(np.float32))
    pixels = (pixels.roll(shift, (1, 2)) - 0.5) * (1 + 0.25 * spread[0]) + 0.5 + 0.1 * spread[1]
    return (pixels + 0.02 * torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))).clamp(0, 1)


class Trainer:
    """A network that learns from a pool of crops, step by step."""

    def __init__(self, pool: Crops, seed: int) -> None:
        torch.manual_seed(seed)
        self.network, self.rng = EmotionNetwork(), np.random.default_rng(seed)
        self.pixels, self.emotions = torch.from_numpy(pool.pixels), torch.from_numpy(pool.emotions)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.02)

    def step(self, progress: float) -> float:
        """Learn from one batch; `progress` (0–1) sets the learning rate. Returns the loss."""
        rows = torch.from_numpy(self.rng.integers(0, len(self.pixels), BATCH))
        logits = self.network(augmented(self.pixels[rows], self.rng))
        loss = functional.cross_entropy(logits, self.emotions[rows], label_smoothing=0.05)
        return descend(self.optimizer, learning_rate(PEAK_LEARNING_RATE, progress), loss)


def train(pool: Crops, seed: int, seconds: float) -> EmotionNetwork:
    """Train for `seconds`; returns the network, in evaluation mode."""
    trainer = Trainer(pool, seed)
    trainer.network.train()
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.pixels):.1f} rounds", flush=True)
    return trainer.network.eval()


def run(folder: Path, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network through DeepFace, and write its card."""
    budget = Budget(minutes)
    faces = round(FACES_PER_MINUTE * minutes)
    pool = on_every_core(draw_crops, together, seed, faces, FACES_PER_TASK)
    budget.report(f"{len(pool.pixels)} crops of {faces} faces drawn")
    save(train(pool, seed, budget.left()), folder)
    print(write_card(folder, command("emotion", minutes, seed), faces, seed))
