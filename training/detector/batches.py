"""Batches of the detector: arranged scenes as the network takes them, and the answers that it should give."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import Florence2Processor

from training.detector.model import BINS, CELLS, PROMPT, SIDE, place_id
from training.drawing.chance import Box
from training.drawing.families.arrangement import NAMES, Arrangement, Thing
from training.grid import covered

GRID = 10  # thousandths: answers give edges as multiples of it
BLUR = 1.0  # standard deviation, in steps of GRID, with which a target place is softened
IGNORED = -100  # torch's label for tokens without a loss


def edges(thing: Thing, image: Image.Image) -> Box:
    """The box of a thing as shares (0–1) of the picture's width and height."""
    left, top, right, bottom = thing.box
    return left / image.width, top / image.height, right / image.width, bottom / image.height


class Wording:
    """The answers in tokens: the things by name in the order of NAMES, those of one name from left to right."""

    def __init__(self, processor: Florence2Processor) -> None:
        self.tokenizer = processor.tokenizer
        self.first_place = place_id(self.tokenizer, 0)
        self.names = self.tokenizer.convert_tokens_to_ids(list(NAMES))
        self.prompt = torch.tensor(
            self.tokenizer(f"{self.tokenizer.bos_token}{PROMPT}{self.tokenizer.eos_token}")["input_ids"]
        )
        self.softened = self._softened()

    def answer(self, scene: Arrangement) -> list[int]:
        """The tokens that describe a scene, with the end token."""
        tokens: list[int] = []
        previous = None
        for name, box in sorted((NAMES.index(thing.name), edges(thing, scene.image)) for thing in scene.things):
            if name != previous:
                tokens.append(self.names[name])
            tokens += [self.first_place + min(BINS - 1, round(edge * BINS / GRID) * GRID) for edge in box]
            previous = name
        return [*tokens, self.tokenizer.eos_token_id]

    def _softened(self) -> Tensor:
        """The target distribution for each token, (tokens, tokens): near a place its neighbours count as well."""
        aims = torch.eye(len(self.tokenizer))
        grid = torch.tensor([min(BINS - 1, place) for place in range(0, BINS + 1, GRID)])
        near = torch.exp(-0.5 * ((grid[:, None] - grid) / (BLUR * GRID)) ** 2)
        aims[self.first_place + grid] = 0.0
        rows, columns = self.first_place + grid[:, None], self.first_place + grid
        aims[rows, columns] = near / near.sum(dim=1, keepdim=True)
        return aims


class Batch:
    """Scenes as the network takes them, and what it should say of each cell and of the whole.

    Attributes:
        pixels: uint8 (n, SIDE, SIDE, 3).
        answers: tokens (n, longest), IGNORED after the end.
        names: the index of the name of the thing in each cell, len(NAMES) for none, (n, CELLS²).
        middles: 1 where the middle of a thing lies in the cell, else 0, (n, CELLS²).
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

    def _mark(self, row: int, name: int, box: Box) -> None:
        left, top, right, bottom = (edge * CELLS for edge in box)
        rows, columns, middle = covered((left, top, right, bottom))
        self.names[row, rows, columns] = name
        self.boxes[row, rows, columns] = torch.tensor(box)
        self.middles[row, *middle] = 1.0
