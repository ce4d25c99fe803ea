"""The bundled emotion network: `python -m training emotion`, in the format of DeepFace's ONNX engine.

Ray tasks draw faces and cut them out as DeepFace does: by its own detector where that finds the face, and by a square
around it that is a little off. A small network learns the emotion from 48 × 48 grey pixels.
"""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from configs.project import BUNDLED
from training.cores import left_for_training, on_every_core
from training.drawing.faces import EMOTIONS, draw_face
from training.emotion.card import write_card
from training.emotion.crops import SIDE, Grey, detected, loose
from training.scenes import Split, generator
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "emotion-faces-v1"
WEIGHTS = "facial_expression_model_weights.onnx"
FACES_PER_MINUTE = 500
FACES_PER_TASK = 100
LOOSE_CROPS = 2  # of a face, beside the detector's own
BATCH = 64
PEAK_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Crops:
    """Faces as the network sees them, float32 (n, SIDE, SIDE, 1) of 0–1, and the index of the emotion of each."""

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


class EmotionNetwork(nn.Module):
    """Four convolutions and a linear layer: (n, SIDE, SIDE, 1) grey in 0–1 to logits (n, 7)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, stride in ((1, 16, 1), (16, 32, 2), (32, 48, 2), (48, 64, 2)):
            convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
        side = SIDE // 8
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * side * side, len(EMOTIONS)))

    def forward(self, faces: Tensor) -> Tensor:
        """Logits; the exported network ends in a softmax."""
        # Exposure differs from crop to crop, and tells nothing
        centred = faces - faces.mean(dim=(1, 2, 3), keepdim=True)
        logits: Tensor = self.layers((centred * 4).permute(0, 3, 1, 2))
        return logits


def augmented(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Crops mirrored, shifted, brighter or darker. (n, SIDE, SIDE, 1)."""
    count = len(pixels)
    turned = torch.from_numpy(rng.random(count) < 0.5)
    pixels = torch.where(turned[:, None, None, None], pixels.flip(2), pixels)
    shift = rng.integers(-2, 3, 2).tolist()
    spread = torch.from_numpy(rng.uniform(-1, 1, (2, count, 1, 1, 1)).astype(np.float32))
    pixels = (pixels.roll(shift, (1, 2)) - 0.5) * (1 + 0.25 * spread[0]) + 0.5 + 0.1 * spread[1]
    return (pixels + 0.02 * torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))).clamp(0, 1)


class Trainer:
    """The network and the steps it takes through a pool of crops."""

    def __init__(self, pool: Crops, seed: int) -> None:
        torch.manual_seed(seed)
        self.network, self.rng = EmotionNetwork(), np.random.default_rng(seed)
        self.pixels, self.emotions = torch.from_numpy(pool.pixels), torch.from_numpy(pool.emotions)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.02)

    def step(self, progress: float) -> float:
        """One batch; `progress` (0–1) sets the learning rate. Returns the loss."""
        rows = torch.from_numpy(self.rng.integers(0, len(self.pixels), BATCH))
        logits = self.network(augmented(self.pixels[rows], self.rng))
        loss = functional.cross_entropy(logits, self.emotions[rows], label_smoothing=0.05)
        return descend(self.optimizer, learning_rate(PEAK_LEARNING_RATE, progress), loss)


def train(pool: Crops, seed: int, seconds: float) -> EmotionNetwork:
    """Train for a length of time, by the clock; returns the network, in evaluation mode."""
    trainer = Trainer(pool, seed)
    trainer.network.train()
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.pixels):.1f} rounds", flush=True)
    return trainer.network.eval()


def save(network: EmotionNetwork, folder: Path) -> None:
    """Write the graph that DeepFace's ONNX engine runs: faces (n, 48, 48, 1) to probabilities (n, 7)."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    with warnings.catch_warnings():
        # torch calls this exporter old; the new one needs two packages more, for a graph of fifteen nodes
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            graph, (torch.zeros(1, SIDE, SIDE, 1),), folder / WEIGHTS, dynamo=False, input_names=["faces"],
            output_names=["probabilities"], dynamic_axes={"faces": {0: "n"}, "probabilities": {0: "n"}},
        )  # fmt: skip


def run(output: Path | None, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network through DeepFace, and write its card.

    Args:
        output: the folder to write; the bundled one when None.
        minutes: time for drawing and training together.
        seed: of the faces and of the training.
    """
    start, folder = time.monotonic(), output or OUTPUT
    faces = round(FACES_PER_MINUTE * minutes)
    pool = on_every_core(draw_crops, together, seed, faces, FACES_PER_TASK)
    print(f"{time.monotonic() - start:5.0f} s  {len(pool.pixels)} crops of {faces} faces drawn", flush=True)
    network = train(pool, seed, left_for_training(start, minutes))
    save(network, folder)
    made = f"`python -m training emotion --minutes {minutes:g} --seed {seed}`"
    print(write_card(folder, made, faces, seed))
