"""Trains a small NIMA as pyiqa defines it, on pictures already preprocessed for it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import functional as geometry

from deployments.models.quality.nima import build_nima
from deployments.pictures.pixels import Pixels
from training.steps import descend, learning_rate, run_for
from training.weights import halved

BACKBONE = "mobilenetv3_small_050"
INPUT_SIZE = 224
SCORES = 10  # of a distribution: 1, 2, …, 10
SPREAD = 1.0  # standard deviation of the target distribution around a score
BATCH = 48
PEAK_LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Graded:
    """Pictures uint8 (n, 3, INPUT_SIZE, INPUT_SIZE) and their grades, float32 (n,)."""

    pixels: Pixels
    grades: NDArray[np.float32]


def seen(image: Image.Image) -> Pixels:
    """A picture after NIMA's own resizing and cropping: its centre square, uint8 (3, INPUT_SIZE, INPUT_SIZE)."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    pixels = geometry.center_crop(geometry.resize(pixels, [INPUT_SIZE]), [INPUT_SIZE])
    bounded: Tensor = (pixels[0].clamp(0, 1) * 255).round().byte()
    return np.asarray(bounded)


def distributions(scores: Tensor) -> Tensor:
    """Scores (n,), 1–10, as distributions over the scores 1 to 10, (n, 10): a truncated Gaussian around each."""
    values = torch.arange(1, SCORES + 1, dtype=torch.float32)
    return torch.softmax(-((values - scores[:, None]) ** 2) / (2 * SPREAD**2), dim=1)


def earth_movers(distribution: Tensor, target: Tensor) -> Tensor:
    """NIMA's loss: the mean squared distance between the cumulative distributions, both (n, 10)."""
    return (distribution.cumsum(dim=1) - target.cumsum(dim=1)).square().mean()


class Trainer:
    """A network that learns from a pool of graded pictures, step by step.

    With one class it gives the grade itself, with ten a distribution over the scores.
    """

    def __init__(self, pool: Graded, classes: int, seed: int, crop: int = INPUT_SIZE) -> None:
        """`crop`: side in pixels of the square to learn from; below INPUT_SIZE where any part shows the grade."""
        torch.manual_seed(seed)
        self.network = build_nima(BACKBONE, classes).to(memory_format=torch.channels_last)
        self.pool, self.classes, self.crop = pool, classes, crop
        self.rng = np.random.default_rng(seed)
        self.order, self.cursor = self.rng.permutation(len(pool.pixels)), 0
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.01)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The next pictures (n, 3, crop, crop), 0–1, about half of them mirrored, and their grades (n,)."""
        size = min(BATCH, len(self.order))
        if self.cursor + size > len(self.order):
            self.order, self.cursor = self.rng.permutation(len(self.order)), 0
        rows = self.order[self.cursor : self.cursor + size]
        self.cursor += size
        x, y = self.rng.integers(0, INPUT_SIZE - self.crop + 1, 2)
        pixels = torch.from_numpy(self.pool.pixels[rows, :, y : y + self.crop, x : x + self.crop]).float() / 255
        turned = torch.from_numpy(self.rng.random(size) < 0.5)
        pixels[turned] = pixels[turned].flip(-1)
        return pixels.contiguous(memory_format=torch.channels_last), torch.from_numpy(self.pool.grades[rows])

    def step(self, progress: float) -> float:
        """Learn from one batch; `progress` (0–1) sets the learning rate. Returns the loss."""
        pixels, grades = self.batch()
        if self.classes == 1:
            loss = functional.mse_loss(self.network(pixels)[:, 0], grades)
        else:
            found = self.network(pixels, return_mos=False, return_dist=True)
            loss = earth_movers(found, distributions(grades))
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.05, first=0.05)
        return descend(self.optimizer, rate, loss, self.network.parameters())


def train(pool: Graded, classes: int, seed: int, seconds: float, crop: int = INPUT_SIZE) -> torch.nn.Module:
    """Train for `seconds`; returns the network, in evaluation mode."""
    trainer = Trainer(pool, classes, seed, crop)
    trainer.network.train()
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.pixels):.1f} rounds", flush=True)
    return trainer.network.eval()


def save(network: torch.nn.Module, classes: int, folder: Path) -> None:
    """Write `nima.pth`, pyiqa's {"params": …} in half precision, and `config.json`, which says how to build it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in halved(network).items()}
    torch.save({"params": state}, folder / "nima.pth")
    config = {"base_model_name": BACKBONE, "num_classes": classes, "input_size": INPUT_SIZE}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: Path) -> torch.nn.Module:
    """The network of a folder that `save` wrote, in evaluation mode."""
    config = json.loads((folder / "config.json").read_text())
    network = build_nima(config["base_model_name"], config["num_classes"])
    network.load_state_dict(torch.load(folder / "nima.pth", weights_only=True)["params"])
    return network.eval()
