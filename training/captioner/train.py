"""The bundled captioner: `python -m training captioner`, a small BLIP that says what is in a drawing.

Ray tasks draw a stock of things and grounds, from which the pictures of each batch are composed, and a pool of scenes
of other kinds. From captions alone a vision transformer learns slowly. So the vision tower first learns which thing
lies in which of its patches, and keeps learning that while the decoder learns to put it into words.
"""

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
from training.budget import Budget
from training.captioner.card import write_card
from training.captioner.model import SIDE, PatchReader, fresh_model, fresh_processor, patches_of, save, tokens
from training.captioner.scenes import KINDS_OF
from training.cards import command
from training.cores import on_every_core
from training.drawing.chance import Rng, canvas, pick
from training.drawing.effects import Size, camera
from training.drawing.families.arrangement import Stock, Thing, arranged, joined, stocked
from training.drawing.wording import caption, groups, scene_caption
from training.scenes import Split, generator, scene_in_turn
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "blip-scenes-v1"
STORED_SIDE = 128  # of the scenes of other kinds: larger than SIDE, so that batches can crop them
SCENES_PER_MINUTE = 200
SCENES_PER_TASK = 50
SPRITES_PER_TASK, GROUNDS_PER_TASK = 2, 4  # sprites of each name
COMPOSED, OTHERS = 38, 10  # pictures in a batch: composed of things, and scenes of other kinds
FRESH, KEPT = 12, 2000  # composed pictures in a batch that are new; recent ones among which the others are drawn
CANVAS = (150, 250)  # shorter side of a composed picture in pixels: smaller than usual, because that is faster
LOOKING = 0.12  # of the time in which only the vision tower learns
PEAK_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Pool:
    """What batches are made from.

    Attributes:
        stock: things and grounds to compose pictures of.
        pixels: scenes of other kinds, uint8 (n, STORED_SIDE, STORED_SIDE, 3).
        captions: of those scenes.
    """

    stock: Stock
    pixels: Pixels
    captions: list[str]


def draw_part(seed: int, first: int, count: int) -> Pool:
    """Draw the scenes `first` to `first + count` of a training seed, and some things and grounds."""
    pixels, captions = np.empty((count, STORED_SIDE, STORED_SIDE, 3), np.uint8), []
    for row in range(count):
        scene = scene_in_turn(KINDS_OF, Split.TRAINING, seed, first + row)
        pixels[row] = np.asarray(scene.image.resize((STORED_SIDE, STORED_SIDE), Image.Resampling.BICUBIC))
        captions.append(scene_caption(scene.kind))
    stock = stocked(generator(Split.TRAINING, seed, first), SPRITES_PER_TASK, GROUNDS_PER_TASK)
    return Pool(stock, pixels, captions)


def together(parts: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    return Pool(
        joined([part.stock for part in parts]),
        np.concatenate([part.pixels for part in parts]),
        [text for part in parts for text in part.captions],
    )


class Composed(NamedTuple):
    """A composed picture.

    Attributes:
        pixels: as the model takes them, uint8 (SIDE, SIDE, 3).
        size: width and height before it was brought to SIDE; the boxes of `things` refer to it.
    """

    pixels: Pixels
    size: Size
    things: tuple[Thing, ...]


def composed(rng: Rng, stock: Stock) -> Composed:
    """A new picture of one to five things."""
    with canvas(*CANVAS):
        arrangement = arranged(rng, stock=stock)
    image = camera(rng, arrangement.image)
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return Composed(pixels, image.size, arrangement.things)


def cropped(rng: Rng, pixels: Pixels) -> Pixels:
    """A random piece (SIDE, SIDE, 3) of a stored scene."""
    x, y = rng.integers(0, STORED_SIDE - SIDE + 1, 2)
    return pixels[y : y + SIDE, x : x + SIDE]


def as_seen(pictures: Sequence[Pixels]) -> Tensor:
    """Pictures as the processor returns them: (n, 3, SIDE, SIDE), -1 to 1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Trainer:
    """A network that learns from a pool, step by step."""

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
        """Learn from one batch; returns the loss.

        Args:
            progress: 0–1; sets the learning rate, and from LOOKING on captions are learnt too.
        """
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.03, first=0.01)
        return descend(self.optimizer, rate, self.loss(progress > LOOKING), self.model.parameters())

    def next_composed(self) -> list[Composed]:
        """New pictures and recent ones together, since composing a picture takes as long as learning from it."""
        fresh = [composed(self.rng, self.pool.stock) for _ in range(FRESH)]
        if len(self.recent) < KEPT:
            self.recent += fresh
        else:
            for one, row in zip(fresh, self.rng.integers(0, KEPT, FRESH), strict=True):
                self.recent[row] = one
        return fresh + [pick(self.rng, self.recent) for _ in range(COMPOSED - FRESH)]

    def loss(self, captioning: bool) -> Tensor:
        """The loss of a new batch: about its patches and, when `captioning`, about its captions."""
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
    """Train for `seconds`; returns the trainer with its model in evaluation mode."""
    trainer = Trainer(pool, seed)
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * (COMPOSED + OTHERS)} pictures", flush=True)
    trainer.model.eval()
    return trainer


def run(folder: Path, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network, and write its card."""
    budget = Budget(minutes)
    pool = on_every_core(draw_part, together, seed, round(SCENES_PER_MINUTE * minutes), SCENES_PER_TASK)
    budget.report(f"{len(pool.captions)} scenes drawn")
    trainer = train(pool, seed, budget.left())
    save(trainer.model, trainer.processor, folder)
    print(write_card(folder, command("captioner", minutes, seed), seed))
