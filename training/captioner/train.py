"""The bundled captioner: `python -m training captioner`, a small BLIP that says what is in a drawing.

Ray tasks draw things and grounds, of which every batch is composed anew, and a pool of scenes of other kinds. A plain
vision transformer finds its way slowly from captions alone. So the vision tower first learns which thing lies in which
of its patches, and goes on with that while the decoder learns to tell it in words.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from configs.project import BUNDLED
from deployments.pictures.pixels import Pixels
from training.captioner.card import scene_in_turn, write_card
from training.captioner.model import SIDE, PatchReader, fresh_model, fresh_processor, patches_of, save, tokens
from training.cores import left_for_training, on_every_core
from training.drawing.chance import Rng, canvas, pick
from training.drawing.effects import Size, camera
from training.drawing.families.arrangement import NAMES, Stock, Thing, arranged, stocked
from training.drawing.wording import caption, groups, scene_caption
from training.scenes import Split, generator
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "blip-scenes-v1"
STORED_SIDE = 128  # scenes of other kinds are kept a little larger, to crop from
SCENES_PER_MINUTE = 200
SCENES_PER_TASK = 50
SPRITES_PER_TASK, GROUNDS_PER_TASK = 2, 4  # sprites of each name
COMPOSED, OTHERS = 38, 10  # pictures in a batch
FRESH, KEPT = 12, 2000  # of those composed, how many are new, and of how many recent ones the rest are taken
CANVAS = (150, 250)  # composed pictures are a little smaller than others, which is faster
LOOKING = 0.12  # of the time, before the first caption
PEAK_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Pool:
    """What batches are made from: sprites and grounds, and scenes of other kinds, uint8 (n, STORED_SIDE, STORED_SIDE,
    3), with their captions.
    """

    stock: Stock
    pixels: Pixels
    captions: list[str]


def draw_part(seed: int, first: int, count: int) -> Pool:
    """Draw the scenes `first` to `first + count` of a training seed, and some sprites and grounds."""
    pixels, captions = np.empty((count, STORED_SIDE, STORED_SIDE, 3), np.uint8), []
    for row in range(count):
        scene = scene_in_turn(Split.TRAINING, seed, first + row)
        pixels[row] = np.asarray(scene.image.resize((STORED_SIDE, STORED_SIDE), Image.Resampling.BICUBIC))
        captions.append(scene_caption(scene.kind))
    stock = stocked(generator(Split.TRAINING, seed, first), SPRITES_PER_TASK, GROUNDS_PER_TASK)
    return Pool(stock, pixels, captions)


def together(parts: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    sprites = {name: tuple(one for part in parts for one in part.stock.sprites[name]) for name in NAMES}
    grounds = tuple(ground for part in parts for ground in part.stock.grounds)
    captions = [text for part in parts for text in part.captions]
    return Pool(Stock(sprites, grounds), np.concatenate([part.pixels for part in parts]), captions)


class Composed(NamedTuple):
    """A picture as the model takes it, (SIDE, SIDE, 3), the size that it had before, and the things in it."""

    pixels: Pixels
    size: Size
    things: tuple[Thing, ...]


def composed(rng: Rng, stock: Stock) -> Composed:
    """One to five things."""
    with canvas(*CANVAS):
        arrangement = arranged(rng, stock=stock)
    image = camera(rng, arrangement.image)
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return Composed(pixels, image.size, arrangement.things)


def cropped(rng: Rng, pixels: Pixels) -> Pixels:
    """A piece of a stored scene. (SIDE, SIDE, 3)."""
    x, y = rng.integers(0, STORED_SIDE - SIDE + 1, 2)
    return pixels[y : y + SIDE, x : x + SIDE]


def as_seen(pictures: Sequence[Pixels]) -> Tensor:
    """Pictures as the processor gives them: -1 to 1, (n, 3, SIDE, SIDE)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Trainer:
    """The network and the steps it takes."""

    def __init__(self, pool: Pool, seed: int) -> None:
        torch.manual_seed(seed)
        self.pool, self.rng = pool, np.random.default_rng(seed)
        self.processor = fresh_processor()
        self.model, self.reader = fresh_model(self.processor).train(), PatchReader()
        parameters = [*self.model.parameters(), *self.reader.parameters()]
        parts = [
            {"params": [one for one in parameters if one.ndim == 2], "weight_decay": 0.05},
            {"params": [one for one in parameters if one.ndim != 2], "weight_decay": 0.0},
        ]
        self.recent: list[Composed] = []
        self.optimizer = torch.optim.AdamW(parts, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))

    def step(self, progress: float) -> float:
        """One batch; `progress` (0–1) sets the learning rate, and whether captions are learnt yet. Returns the loss."""
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.03, first=0.01)
        return descend(self.optimizer, rate, self.loss(progress > LOOKING), self.model.parameters())

    def next_composed(self) -> list[Composed]:
        """Some new pictures, and some that the network met not long ago: composing takes as long as learning."""
        fresh = [composed(self.rng, self.pool.stock) for _ in range(FRESH)]
        if len(self.recent) < KEPT:
            self.recent += fresh
        else:
            for one, row in zip(fresh, self.rng.integers(0, KEPT, FRESH), strict=True):
                self.recent[row] = one
        return fresh + [pick(self.rng, self.recent) for _ in range(COMPOSED - FRESH)]

    def loss(self, captioning: bool) -> Tensor:
        """Of a batch: what lies in the patches and, when captioning, the captions."""
        made = self.next_composed()
        rows = self.rng.integers(0, len(self.pool.captions), OTHERS)
        seen = as_seen([*(one.pixels for one in made), *(cropped(self.rng, self.pool.pixels[row]) for row in rows)])
        states = self.model.vision_model(seen).last_hidden_state
        truth = patches_of([(one.size, one.things) for one in made] + [((SIDE, SIDE), ())] * OTHERS)
        loss = self.reader.loss(states, truth)
        if captioning:
            captions = [*(caption(groups(one.things)) for one in made), *(self.pool.captions[row] for row in rows)]
            ids = tokens(self.processor, captions)
            labels = ids.masked_fill(ids == self.processor.tokenizer.pad_token_id, -100)
            loss = loss + self.model.text_decoder(input_ids=ids, encoder_hidden_states=states, labels=labels).loss
        return loss


def train(pool: Pool, seed: int, seconds: float) -> Trainer:
    """Train for a length of time, by the clock."""
    trainer = Trainer(pool, seed)
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * (COMPOSED + OTHERS)} pictures", flush=True)
    trainer.model.eval()
    return trainer


def run(output: Path | None, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network, and write its card.

    Args:
        output: the folder to write; the bundled one when None.
        minutes: time for drawing and training together.
        seed: of the scenes and of the training.
    """
    start, folder = time.monotonic(), output or OUTPUT
    scenes = round(SCENES_PER_MINUTE * minutes)
    pool = on_every_core(draw_part, together, seed, scenes, SCENES_PER_TASK)
    print(f"{time.monotonic() - start:5.0f} s  {len(pool.captions)} scenes drawn", flush=True)
    trainer = train(pool, seed, left_for_training(start, minutes))
    save(trainer.model, trainer.processor, folder)
    print(write_card(folder, f"`python -m training captioner --minutes {minutes:g} --seed {seed}`", seed))
