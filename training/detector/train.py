"""The bundled detector: `python -m training detector`, in the format of Florence-2.

Ray tasks draw a stock of things and grounds; every batch is arranged from it afresh. First the vision tower and the
encoder learn, by a head that is thrown away, what each cell of the picture shows; then the decoder learns to say it.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import Florence2ForConditionalGeneration, Florence2Processor
from transformers.modeling_outputs import BaseModelOutput

from configs.project import BUNDLED
from training.cores import left_for_training, on_every_core
from training.detector.card import write_card
from training.detector.model import (
    BINS,
    CELLS,
    IMAGE_TOKENS,
    PROMPT,
    SIDE,
    boxes_head,
    new_network,
    new_processor,
    place_id,
)
from training.drawing.chance import Rng, canvas
from training.drawing.families.arrangement import NAMES, Arrangement, Stock, Thing, arranged, stocked
from training.scenes import Split, generator
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "florence2-scenes-v1"
SPRITES = 400  # of each name
SPRITES_PER_TASK = 25
CANVAS = (144, 240)  # shorter side of a training scene in pixels
BATCH = 16
PEAK_LEARNING_RATE = 1.5e-3
WARM_UP, SILENT = 0.02, 0.2  # shares of the training: of rising rate, and before the decoder joins
GRID = 10  # places between two edges that the answers tell apart
BLUR = 1.0  # of a place in the targets, in grid steps
IGNORED = -100
NAME_WEIGHT = 2.0  # of a name or the end against a place


def draw_stock(seed: int, first: int, count: int) -> Stock:
    """Draw `count` sprites of every name and as many grounds: the part of a training seed that starts at `first`."""
    return stocked(generator(Split.TRAINING, seed, first), count, count)


def together(parts: Sequence[Stock]) -> Stock:
    """Several stocks as one."""
    sprites = {name: tuple(one for part in parts for one in part.sprites[name]) for name in NAMES}
    return Stock(sprites, tuple(ground for part in parts for ground in part.grounds))


def edges(thing: Thing, image: Image.Image) -> tuple[float, float, float, float]:
    """The box of a thing in shares (0–1) of the picture."""
    left, top, right, bottom = thing.box
    return left / image.width, top / image.height, right / image.width, bottom / image.height


class Wording:
    """The answers in tokens: things by name in the order of NAMES, of one name from left to right."""

    def __init__(self, processor: Florence2Processor) -> None:
        self.tokenizer = processor.tokenizer
        self.first_place = place_id(self.tokenizer, 0)
        self.names = self.tokenizer.convert_tokens_to_ids(list(NAMES))
        self.prompt = torch.tensor(
            self.tokenizer(f"{self.tokenizer.bos_token}{PROMPT}{self.tokenizer.eos_token}")["input_ids"]
        )
        self.softened = self._softened()

    def answer(self, scene: Arrangement) -> list[int]:
        """The tokens that describe a scene, to the end token."""
        tokens: list[int] = []
        previous = None
        for name, box in sorted((NAMES.index(thing.name), edges(thing, scene.image)) for thing in scene.things):
            if name != previous:
                tokens.append(self.names[name])
            tokens += [self.first_place + min(BINS - 1, round(edge * BINS / GRID) * GRID) for edge in box]
            previous = name
        return [*tokens, self.tokenizer.eos_token_id]

    def _softened(self) -> Tensor:
        """What to aim for in place of each token, (tokens, tokens): a place may be a little off."""
        aims = torch.eye(len(self.tokenizer))
        grid = torch.tensor([min(BINS - 1, place) for place in range(0, BINS + 1, GRID)])
        near = torch.exp(-0.5 * ((grid[:, None] - grid) / (BLUR * GRID)) ** 2)
        aims[self.first_place + grid] = 0.0
        rows, columns = self.first_place + grid[:, None], self.first_place + grid
        aims[rows, columns] = near / near.sum(dim=1, keepdim=True)
        return aims


class Batch:
    """Scenes as the network takes and answers them.

    Attributes:
        pixels: uint8 (n, SIDE, SIDE, 3).
        answers: tokens (n, longest), IGNORED after the end.
        names: of each cell the index of its name, len(NAMES) for none, (n, CELLS²).
        middles: whether the middle of a thing lies in the cell, (n, CELLS²).
        boxes: edges (0–1) of the thing in the cell, (n, CELLS², 4).
    """

    def __init__(self, scenes: Sequence[Arrangement], wording: Wording) -> None:
        squares = [np.asarray(scene.image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for scene in scenes]
        self.pixels = torch.from_numpy(np.stack(squares))
        tokens = [torch.tensor(wording.answer(scene)) for scene in scenes]
        self.answers = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=IGNORED)
        self.names = torch.full((len(scenes), CELLS, CELLS), len(NAMES))
        self.middles = torch.zeros(len(scenes), CELLS, CELLS)
        self.boxes = torch.zeros(len(scenes), CELLS, CELLS, 4)
        for row, scene in enumerate(scenes):
            for thing in scene.things:
                self._mark(row, NAMES.index(thing.name), edges(thing, scene.image))
        self.names, self.middles, self.boxes = self.names.flatten(1), self.middles.flatten(1), self.boxes.flatten(1, 2)

    def _mark(self, row: int, name: int, box: tuple[float, float, float, float]) -> None:
        left, top, right, bottom = (edge * CELLS for edge in box)
        x, y = int((left + right) / 2), int((top + bottom) / 2)
        columns = slice(min(x, round(left)), max(x + 1, round(right)))
        rows = slice(min(y, round(top)), max(y + 1, round(bottom)))
        self.names[row, rows, columns] = name
        self.boxes[row, rows, columns] = torch.tensor(box)
        self.middles[row, y, x] = 1.0


class Trainer:
    """The network and the steps it takes through freshly arranged scenes."""

    def __init__(self, stock: Stock, seed: int, at_once: int = BATCH) -> None:
        torch.manual_seed(seed)
        self.stock, self.at_once, self.rng = stock, at_once, np.random.default_rng(seed)
        self.processor = new_processor()
        self.wording = Wording(self.processor)
        self.network = new_network(self.processor.tokenizer).train()
        self.head = boxes_head()
        images = self.processor.image_processor
        self.mean, self.spread = (255 * torch.tensor(values) for values in (images.image_mean, images.image_std))
        self.parameters = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=0.0, betas=(0.9, 0.98), weight_decay=0.02)

    def step(self, progress: float) -> float:
        """One batch; `progress` (0–1) sets the learning rate and what is learnt. Returns the loss."""
        batch = self.batch()
        encoded = self.encoded(self.normalised(batch.pixels))
        loss = self.cell_loss(encoded, batch)
        if progress >= SILENT:
            loss = 0.5 * loss + self.answer_loss(encoded, batch.answers)
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=WARM_UP, first=0.02)
        return descend(self.optimizer, rate, loss, self.parameters)

    def batch(self) -> Batch:
        """Scenes that the network has not seen."""
        with canvas(*CANVAS):
            return Batch([arranged(self.rng, stock=self.stock) for _ in range(self.at_once)], self.wording)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels as a camera and then the processor change them, (n, 3, SIDE, SIDE)."""
        exposed = filmed(self.rng, pixels.float())
        return ((exposed - self.mean) / self.spread).permute(0, 3, 1, 2).contiguous()

    def encoded(self, pixels: Tensor) -> Tensor:
        """What the encoder makes of the picture and the prompt, (n, IMAGE_TOKENS + words, width)."""
        model = self.network.model
        words = self.network.get_input_embeddings()(self.wording.prompt).expand(len(pixels), -1, -1)
        seen = torch.cat([model.get_image_features(pixels).pooler_output, words], dim=1)
        states: Tensor = model.language_model.encoder(inputs_embeds=seen).last_hidden_state
        return states

    def cell_loss(self, encoded: Tensor, batch: Batch) -> Tensor:
        """How far the throw-away head is from naming the cells and finding the boxes around them."""
        kinds, middles, boxes = self.head(encoded[:, 1:IMAGE_TOKENS]).split((len(NAMES) + 1, 1, 4), dim=-1)
        shown = batch.names < len(NAMES)
        off = (boxes[shown] - batch.boxes[shown]).abs().sum(dim=-1).mean()
        middle = functional.binary_cross_entropy_with_logits(middles[..., 0], batch.middles)
        kind = functional.cross_entropy(kinds.flatten(0, 1), batch.names.flatten())
        loss: Tensor = kind + 3 * off + 3 * middle
        return loss

    def answer_loss(self, encoded: Tensor, answers: Tensor) -> Tensor:
        """How far the decoder is from the next token of the answers, the ones before it given."""
        tokenizer, known = self.wording.tokenizer, answers != IGNORED
        before = functional.pad(answers, (1, 0), value=tokenizer.eos_token_id)[:, :-1]
        before = before.masked_fill(before == IGNORED, tokenizer.pad_token_id)
        logits = self.network(encoder_outputs=BaseModelOutput(encoded), decoder_input_ids=before).logits
        aims = answers[known]
        losses = functional.cross_entropy(logits[known], self.wording.softened[aims], reduction="none")
        weighted: Tensor = losses * torch.where(aims < self.wording.first_place, NAME_WEIGHT, 1.0)
        return weighted.mean()


def filmed(rng: Rng, pixels: Tensor) -> Tensor:
    """Pixels (n, height, width, 3) of 0–255 with another exposure, cast and contrast, and now and then noise."""
    count = len(pixels)
    spread = torch.from_numpy(rng.uniform(-1, 1, (3, count, 1, 1, 1)).astype(np.float32))
    cast = torch.from_numpy(rng.normal(1, 0.025, (count, 1, 1, 3)).astype(np.float32))
    noisy = torch.from_numpy(rng.uniform(0, 8, (count, 1, 1, 1)) * (rng.random((count, 1, 1, 1)) < 0.4)).float()
    pixels = ((pixels - 128) * (1 + 0.15 * spread[0]) + 128) * (1 + 0.13 * spread[1]) * cast
    return (pixels + noisy * torch.randn(pixels.shape)).clamp(0, 255)


def save(network: Florence2ForConditionalGeneration, processor: Florence2Processor, folder: Path) -> None:
    """Write the network in half precision and its processor; the network itself becomes half precise."""
    folder.mkdir(parents=True, exist_ok=True)
    network.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    processor.save_pretrained(folder)


def run(output: Path | None, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network through its processor, and write its card.

    Args:
        output: the folder to write; the bundled one when None.
        minutes: time for drawing and training together.
        seed: of the drawings and of the training.
    """
    start, folder = time.monotonic(), output or OUTPUT
    stock = on_every_core(draw_stock, together, seed, SPRITES, SPRITES_PER_TASK)
    print(f"{time.monotonic() - start:5.0f} s  {SPRITES} sprites of each name drawn", flush=True)
    trainer = Trainer(stock, seed)
    steps = run_for(left_for_training(start, minutes), trainer.step)
    save(trainer.network.eval(), trainer.processor, folder)
    made = f"`python -m training detector --minutes {minutes:g} --seed {seed}`"
    print(write_card(folder, made, steps * BATCH, seed))
