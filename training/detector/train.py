"""The bundled detector: `python -m training detector`, in the format of Florence-2.

Ray tasks draw a stock of things and grounds, from which the scenes of every batch are newly arranged. First the vision
tower and the encoder learn what each cell of the picture shows, through a head that is thrown away at the end; then the
decoder learns to say it.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Florence2ForConditionalGeneration, Florence2Processor
from transformers.modeling_outputs import BaseModelOutput

from configs.project import BUNDLED
from training.budget import Budget
from training.cards import command
from training.cores import on_every_core
from training.detector.batches import IGNORED, Batch, Wording
from training.detector.card import write_card
from training.detector.model import IMAGE_TOKENS, boxes_head, new_network, new_processor
from training.drawing.chance import Rng, canvas
from training.drawing.families.arrangement import NAMES, Stock, arranged, joined, stocked
from training.scenes import Split, generator
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "florence2-scenes-v1"
SPRITES = 400  # of each name
SPRITES_PER_TASK = 25
CANVAS = (144, 240)  # shorter side of a training scene in pixels
BATCH = 16
PEAK_LEARNING_RATE = 1.5e-3
WARM_UP, SILENT = 0.02, 0.2  # shares of the training: while the rate rises, and before the decoder learns too
NAME_WEIGHT = 2.0  # what a wrong name or a wrong end costs, compared with a wrong place


def draw_stock(seed: int, first: int, count: int) -> Stock:
    """Draw `count` sprites of every name and `count` grounds; `first` tells the parts of a training seed apart."""
    return stocked(generator(Split.TRAINING, seed, first), count, count)


class Trainer:
    """A network that learns from newly arranged scenes, step by step."""

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
        """Learn from one batch; returns the loss.

        Args:
            progress: 0–1; sets the learning rate, and from SILENT on the decoder learns too.
        """
        batch = self.batch()
        encoded = self.encoded(self.normalised(batch.pixels))
        loss = self.cell_loss(encoded, batch)
        if progress >= SILENT:
            loss = 0.5 * loss + self.answer_loss(encoded, batch.answers)
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=WARM_UP, first=0.02)
        return descend(self.optimizer, rate, loss, self.parameters)

    def batch(self) -> Batch:
        """Scenes that are arranged now, so that the network has not seen them."""
        with canvas(*CANVAS):
            return Batch([arranged(self.rng, stock=self.stock) for _ in range(self.at_once)], self.wording)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels after a camera's effects and the processor's normalisation, (n, 3, SIDE, SIDE)."""
        exposed = filmed(self.rng, pixels.float())
        return ((exposed - self.mean) / self.spread).permute(0, 3, 1, 2).contiguous()

    def encoded(self, pixels: Tensor) -> Tensor:
        """The encoder's states for pictures and the prompt, (n, IMAGE_TOKENS + words, width)."""
        model = self.network.model
        words = self.network.get_input_embeddings()(self.wording.prompt).expand(len(pixels), -1, -1)
        seen = torch.cat([model.get_image_features(pixels).pooler_output, words], dim=1)
        states: Tensor = model.language_model.encoder(inputs_embeds=seen).last_hidden_state
        return states

    def cell_loss(self, encoded: Tensor, batch: Batch) -> Tensor:
        """The loss of the throw-away head, which names the cells and places boxes around their things."""
        kinds, middles, boxes = self.head(encoded[:, 1:IMAGE_TOKENS]).split((len(NAMES) + 1, 1, 4), dim=-1)
        shown = batch.names < len(NAMES)
        off = (boxes[shown] - batch.boxes[shown]).abs().sum(dim=-1).mean()
        middle = functional.binary_cross_entropy_with_logits(middles[..., 0], batch.middles)
        kind = functional.cross_entropy(kinds.flatten(0, 1), batch.names.flatten())
        loss: Tensor = kind + 3 * off + 3 * middle
        return loss

    def answer_loss(self, encoded: Tensor, answers: Tensor) -> Tensor:
        """The loss of the decoder, which predicts each token of the answers from those before it."""
        tokenizer, known = self.wording.tokenizer, answers != IGNORED
        before = functional.pad(answers, (1, 0), value=tokenizer.eos_token_id)[:, :-1]
        before = before.masked_fill(before == IGNORED, tokenizer.pad_token_id)
        logits = self.network(encoder_outputs=BaseModelOutput(encoded), decoder_input_ids=before).logits
        aims = answers[known]
        losses = functional.cross_entropy(logits[known], self.wording.softened[aims], reduction="none")
        weighted: Tensor = losses * torch.where(aims < self.wording.first_place, NAME_WEIGHT, 1.0)
        return weighted.mean()


def filmed(rng: Rng, pixels: Tensor) -> Tensor:
    """Pixels (n, height, width, 3), 0–255, with random exposure, colour cast, contrast and, in some pictures, noise."""
    count = len(pixels)
    spread = torch.from_numpy(rng.uniform(-1, 1, (3, count, 1, 1, 1)).astype(np.float32))
    cast = torch.from_numpy(rng.normal(1, 0.025, (count, 1, 1, 3)).astype(np.float32))
    noisy = torch.from_numpy(rng.uniform(0, 8, (count, 1, 1, 1)) * (rng.random((count, 1, 1, 1)) < 0.4)).float()
    pixels = ((pixels - 128) * (1 + 0.15 * spread[0]) + 128) * (1 + 0.13 * spread[1]) * cast
    return (pixels + noisy * torch.randn(pixels.shape)).clamp(0, 255)


def save(network: Florence2ForConditionalGeneration, processor: Florence2Processor, folder: Path) -> None:
    """Write the network in half precision, and its processor; `network` itself is converted too."""
    folder.mkdir(parents=True, exist_ok=True)
    network.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    processor.save_pretrained(folder)


def run(folder: Path, minutes: float, seed: int) -> None:
    """Draw, train, save, measure the saved network through its processor, and write its card."""
    budget = Budget(minutes)
    stock = on_every_core(draw_stock, joined, seed, SPRITES, SPRITES_PER_TASK)
    budget.report(f"{SPRITES} sprites of each name drawn")
    trainer = Trainer(stock, seed)
    steps = run_for(budget.left(), trainer.step)
    save(trainer.network.eval(), trainer.processor, folder)
    print(write_card(folder, command("detector", minutes, seed), steps * BATCH, seed))
