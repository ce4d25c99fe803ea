"""The bundled CLIP: `python -m training clip`.

Ray tasks draw a pool of scenes, then a small open_clip model learns from it until the time is up, with three losses:

- contrastive, as CLIP's own, except that an image matches every caption that is true of it. Captions such as "a star"
  come up many times in a batch, and CLIP's loss would count all but one of them as wrong. A caption that names a colour
  also meets the same caption with other colours; otherwise colours would hardly be learnt;
- cross-entropy over the categories of /classify, with both prompt sets, their prompts ensembled as they are served;
- cross-entropy over the default categories of /categorize.

The last two also teach the temperature, so that the probabilities that are served mean something.

Photographs cannot be drawn. To come closer to them, each step also sees composites: a close-up of a stand-in for a
photograph in front of another picture, often an aerial view. All composites are "miscellaneous".
"""

from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from configs.project import BUNDLED
from configs.prompts import load_prompts
from training.budget import Budget
from training.cards import command
from training.clip.card import write_card
from training.clip.losses import class_logits, contrastive
from training.clip.model import MODEL, WEIGHTS, encode_short, save
from training.clip.pool import Pool, augmented, composites, draw_pool
from training.clip.vocabulary import Vocabulary, make_vocabulary
from training.scenes import CATEGORIES
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "clip-scenes-v1"
SCENES_PER_MINUTE = 800
BATCH = 64
CAPTIONS_AN_IMAGE = 3
OTHER_COLOURS = 3  # of the ten other colours, those in which a batch holds a caption with a colour
COMPOSITES = 32  # in a batch, beside its scenes
PEAK_LEARNING_RATE = 1e-3


class Trainer:
    """A network that learns from a pool of scenes, step by step."""

    def __init__(self, pool: Pool, vocabulary: Vocabulary, seed: int, start_from: Path | None) -> None:
        torch.manual_seed(seed)
        self.model = open_clip.CLIP(**MODEL).to(memory_format=torch.channels_last)
        if start_from is not None:
            self.model.load_state_dict(load_file(start_from / WEIGHTS))
        self.pool, self.vocabulary = pool, vocabulary
        self.rng = np.random.default_rng(seed)
        self.order = self.rng.permutation(len(pool.pixels))
        self.cursor = 0
        # No decay for biases and scales, nor for embeddings: those of words that a batch lacks would only shrink
        decayed = [p for name, p in self.model.named_parameters() if p.ndim > 1 and "embedding" not in name]
        others = [p for name, p in self.model.named_parameters() if p.ndim <= 1 or "embedding" in name]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))
        served = [text for prompt_set in vocabulary.prompt_sets for group in prompt_set for text in group]
        self.served = sorted({*served, *vocabulary.labels})

    def next_rows(self) -> NDArray[np.int64]:
        """The indices of the next batch's scenes; after each round the pool is shuffled again."""
        if self.cursor + BATCH > len(self.order):
            self.order, self.cursor = self.rng.permutation(len(self.order)), 0
        self.cursor += BATCH
        return self.order[self.cursor - BATCH : self.cursor]

    def next_composites(self) -> Tensor:
        """Stand-ins for photographs: half of them in front of aerial views, half in front of one another."""
        ground = np.flatnonzero(self.pool.categories == CATEGORIES.index("aerial_satellite"))
        front, back = (self.rng.choice(self.vocabulary.photos, COMPOSITES) for _ in range(2))
        back[: COMPOSITES // 2] = self.rng.choice(ground, COMPOSITES // 2)
        return composites(self.pool.pixels[front], self.pool.pixels[back], self.rng)

    def step(self, progress: float) -> float:
        """Learn from one batch; `progress` (0–1) sets the learning rate. Returns the loss."""
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.04)
        loss = descend(self.optimizer, rate, self.loss(self.next_rows()), self.model.parameters())
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, np.log(100))
        return loss

    def loss(self, rows: NDArray[np.int64]) -> Tensor:
        """The sum of the three losses over these scenes and new composites."""
        truth = self.vocabulary.truth[rows]
        chosen = self._texts(truth)
        place = {text: position for position, text in enumerate(chosen)}
        seen = torch.cat([augmented(self.pool.pixels[rows], self.rng), self.next_composites()])
        images, mixed = self.model.encode_image(seen, normalize=True).split([len(rows), COMPOSITES])
        texts = encode_short(self.model, self.vocabulary.tokens[chosen])
        scale = self.model.logit_scale.exp()
        total = contrastive(scale * images @ texts.T, truth[:, chosen])
        categories = torch.from_numpy(self.pool.categories[rows])
        miscellaneous = torch.full((COMPOSITES,), CATEGORIES.index("miscellaneous"))
        for prompt_set in self.vocabulary.prompt_sets:
            groups = [[place[text] for text in group] for group in prompt_set]
            total = total + functional.cross_entropy(class_logits(images, texts, groups, scale), categories) / 2
            total = total + functional.cross_entropy(class_logits(mixed, texts, groups, scale), miscellaneous) / 2
        groups = [[place[text]] for text in self.vocabulary.labels]
        scores = class_logits(images, texts, groups, scale)
        return total + functional.cross_entropy(scores, self.vocabulary.label_of[rows])

    def _texts(self, truth: Tensor) -> list[int]:
        """The texts of a batch: every prompt, some captions of each scene, and these in some other colours."""
        drawn = torch.multinomial(truth.float(), CAPTIONS_AN_IMAGE).flatten().tolist()
        recoloured = [
            int(other)
            for text in drawn
            if (others := self.vocabulary.recoloured[text])
            for other in self.rng.permutation(others)[:OTHER_COLOURS]
        ]
        return sorted({*self.served, *drawn, *recoloured})


def train(pool: Pool, vocabulary: Vocabulary, seed: int, seconds: float, start_from: Path | None) -> open_clip.CLIP:
    """Train for `seconds`; returns the network, in evaluation mode."""
    trainer = Trainer(pool, vocabulary, seed, start_from)
    trainer.model.train()
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.pixels):.1f} rounds", flush=True)
    return trainer.model.eval()


def run(folder: Path, minutes: float, seed: int, start_from: Path | None = None) -> None:
    """Draw, train, save, measure the saved model, and write its card.

    Args:
        start_from: a folder of weights to go on from; None: from random ones.
    """
    budget = Budget(minutes)
    pool = draw_pool(seed, int(SCENES_PER_MINUTE * minutes) // BATCH * BATCH)
    scenes = f"{len(pool.pixels)} scenes"
    budget.report(f"{scenes} drawn")
    vocabulary = make_vocabulary(pool, load_prompts())
    save(train(pool, vocabulary, seed, budget.left(), start_from), folder)
    options = [f"--start-from {start_from.name}"] if start_from else []
    print(write_card(folder, f"{command('clip', minutes, seed, *options)}: {scenes}", seed))
