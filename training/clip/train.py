"""The bundled CLIP: `python -m training clip`.

Ray tasks draw a pool of scenes, then a small open_clip model learns from it until the time is up, with three losses:

- contrastive, as CLIP, but an image matches every caption that is true of it. Captions such as "a star" come up many
  times in a batch, and the usual loss would count all but one of them as wrong. A caption that names a colour meets
  itself in other colours, or colours would hardly be learnt;
- cross-entropy over the categories of /classify, with both prompt sets, their prompts ensembled as they are served;
- cross-entropy over the default categories of /categorize.

Photographs are what we cannot draw: to meet more of what they are like, each step also sees composites, a close-up of
one stand-in for a photograph in front of another picture, an aerial view among them, all of which are miscellaneous.

The last two also teach the temperature, so that served probabilities mean something.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from configs.project import BUNDLED
from configs.prompts import Prompts, load_prompts
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from training.clip.card import write_card
from training.cores import left_for_training, on_every_core
from training.drawing.colours import NAMED
from training.drawing.families.drawings import with_article
from training.scenes import CATEGORIES, Category, Split, draw_scene, generator, random_kind
from training.steps import descend, learning_rate, run_for

OUTPUT = BUNDLED / "clip-scenes-v1"

WEIGHTS = "open_clip_model.safetensors"

IMAGE_SIZE = 112
STORED_SIZE = 128  # drawn scenes are kept a little larger, to crop from
MODEL: dict[str, Any] = {
    "embed_dim": 512,
    # CLIP's own ResNet, small: it learnt more from as many pictures, and in as much time, than timm's mobile networks
    "vision_cfg": {"layers": [1, 1, 1, 1], "width": 20, "head_width": 40, "image_size": IMAGE_SIZE},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 4, "layers": 2},
}
PREPROCESS = {
    "size": IMAGE_SIZE,
    "mode": "RGB",
    "mean": list(open_clip.OPENAI_DATASET_MEAN),
    "std": list(open_clip.OPENAI_DATASET_STD),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
# Photographs are the widest of the three, and the only one we cannot really draw
SHARES: dict[Category, float] = {"maps": 0.17, "aerial_satellite": 0.17, "miscellaneous": 0.66}
SCENES_PER_MINUTE = 800
SCENES_PER_TASK = 50
BATCH = 64
CAPTIONS_AN_IMAGE = 3
OTHER_COLOURS = 3  # that a caption with a colour meets, of ten
COMPOSITES = 32  # beside a batch
PHOTO = "a photograph"  # the caption that every stand-in for one has
PEAK_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Pool:
    """Drawn scenes: pixels uint8 (n, STORED_SIZE, STORED_SIZE, 3), category indices, and the true captions of each."""

    pixels: Pixels
    categories: NDArray[np.int64]
    captions: list[tuple[str, ...]]
    labels: list[str | None]


@dataclass(frozen=True)
class Vocabulary:
    """Every text of the training.

    Attributes:
        tokens: int64 (texts, 77).
        truth: bool (scenes, texts): which captions are true of which scene.
        recoloured: for each text the indices of the same text in other colours.
        prompt_sets: for each prompt set, the text indices of each category's prompts, in the order of CATEGORIES.
        photos: rows of the scenes that stand in for photographs.
        labels: text indices of the categories of /categorize.
        label_of: int64 (scenes,), the index into `labels`, -100 where a scene has none.
    """

    tokens: Tensor
    truth: Tensor
    recoloured: list[list[int]]
    photos: NDArray[np.int64]
    prompt_sets: list[list[list[int]]]
    labels: list[int]
    label_of: Tensor


def draw_part(seed: int, first: int, count: int) -> Pool:
    """Draw the scenes `first` to `first + count` of a training seed."""
    pixels = np.empty((count, STORED_SIZE, STORED_SIZE, 3), np.uint8)
    categories, captions, labels = np.empty(count, np.int64), [], []
    for row in range(count):
        rng = generator(Split.TRAINING, seed, first + row)
        category = CATEGORIES[int(rng.choice(len(CATEGORIES), p=[SHARES[name] for name in CATEGORIES]))]
        scene = draw_scene(rng, random_kind(rng, category))
        pixels[row] = fit(scene.image, STORED_SIZE)
        categories[row] = CATEGORIES.index(category)
        captions.append(scene.captions)
        labels.append(scene.label)
    return Pool(pixels, categories, captions, labels)


def draw_pool(seed: int, count: int) -> Pool:
    """Draw a pool of scenes on every core of the cluster; the same pool for the same seed and count."""
    return on_every_core(draw_part, together, seed, count, SCENES_PER_TASK)


def together(parts: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    return Pool(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.categories for part in parts]),
        [captions for part in parts for captions in part.captions],
        [label for part in parts for label in part.labels],
    )


def make_vocabulary(pool: Pool, prompts: Prompts) -> Vocabulary:
    """Index every caption of the pool and every prompt of the configuration."""
    sets = list(prompts.classifier.values())
    served = {prompt for prompt_set in sets for group in prompt_set.values() for prompt in group}
    texts = sorted(served | set(prompts.categories) | {text for captions in pool.captions for text in captions})
    index = {text: number for number, text in enumerate(texts)}
    truth = torch.zeros(len(pool.captions), len(texts), dtype=torch.bool)
    for row, captions in enumerate(pool.captions):
        truth[row, [index[caption] for caption in captions]] = True
    labels = prompts.categories
    return Vocabulary(
        open_clip.SimpleTokenizer()(texts),
        truth,
        [[index[other] for other in in_other_colours(text) if other in index] for text in texts],
        truth[:, index[PHOTO]].nonzero().flatten().numpy(),
        [[[index[prompt] for prompt in prompt_set[name]] for name in CATEGORIES] for prompt_set in sets],
        [index[label] for label in labels],
        torch.tensor([labels.index(label) if label in labels else -100 for label in pool.labels]),
    )


def in_other_colours(text: str) -> list[str]:
    """ "a red car" to "an orange car", "a blue car", …; nothing for a text without a colour."""
    for colour in NAMED:
        if re.search(rf"\b{colour}\b", text):
            others = [other for other in NAMED if other != colour]
            return [
                text.replace(with_article(colour), with_article(other)).replace(f" {colour}", f" {other}")
                for other in others
            ]
    return []


def augmented(pixels: Pixels, rng: np.random.Generator) -> Tensor:
    """A batch as the model sees it: cropped, brighter or darker, sometimes coarser, normalised. (n, 3, size, size)."""
    side = int(rng.integers(STORED_SIZE * 3 // 4, STORED_SIZE + 1))
    corners = rng.integers(0, STORED_SIZE - side + 1, (len(pixels), 2))
    cut = [image[y : y + side, x : x + side] for image, (y, x) in zip(pixels, corners, strict=True)]
    batch = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255
    if rng.random() < 0.15:
        batch = functional.interpolate(batch, size=int(rng.integers(40, 90)), mode="bilinear", antialias=True)
    batch = functional.interpolate(batch, size=IMAGE_SIZE, mode="bicubic", antialias=True).clamp(0, 1)
    spread = torch.from_numpy(rng.uniform(-1, 1, (3, len(pixels), 1, 1, 1)).astype(np.float32))
    batch = (batch - 0.5) * (1 + 0.15 * spread[0]) + 0.5 + 0.08 * spread[1]
    mean, std = (torch.tensor(PREPROCESS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    return ((batch.clamp(0, 1) - mean) / std).contiguous(memory_format=torch.channels_last)


def composites(front: Pixels, back: Pixels, rng: np.random.Generator) -> Tensor:
    """Close-ups in any colours, cut out with a soft and crooked outline, in front of other pictures.

    Args:
        front, back: uint8 (n, STORED_SIZE, STORED_SIZE, 3).

    Returns:
        (n, 3, IMAGE_SIZE, IMAGE_SIZE), normalised.
    """
    count, side = len(front), int(rng.integers(STORED_SIZE // 2, STORED_SIZE))
    x, y = rng.integers(0, STORED_SIZE - side + 1, 2)
    near = torch.from_numpy(front[:, y : y + side, x : x + side]).permute(0, 3, 1, 2).float() / 255
    near = functional.interpolate(near, size=STORED_SIZE, mode="bicubic", antialias=True)[:, rng.permutation(3)]
    near = near * torch.from_numpy(rng.uniform(0.6, 1.4, (count, 3, 1, 1)).astype(np.float32))
    far = torch.from_numpy(back).permute(0, 3, 1, 2).float() / 255
    grid = torch.linspace(-1, 1, STORED_SIZE)
    centre, radius = (
        torch.from_numpy(rng.uniform(low, high, (count, 2, 1, 1)).astype(np.float32))
        for low, high in ((-0.35, 0.35), (0.45, 1.2))
    )
    distance = ((grid[None, :, None] - centre[:, 0]) / radius[:, 0]) ** 2
    distance = distance + ((grid[None, None, :] - centre[:, 1]) / radius[:, 1]) ** 2
    crooked = torch.from_numpy(rng.normal(0, 0.35, (count, 1, 6, 6)).astype(np.float32))
    crooked = functional.interpolate(crooked, size=STORED_SIZE, mode="bicubic")[:, 0]
    mask = torch.sigmoid((1 - distance + crooked) * float(rng.uniform(6, 40)))[:, None]
    mixed = ((near * mask + far * (1 - mask)).clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()
    return augmented(mixed, rng)


def contrastive(logits: Tensor, truth: Tensor) -> Tensor:
    """CLIP's loss with several right texts an image: each competes with the wrong ones only.

    Args:
        logits: (images, texts).
        truth: bool of the same shape.
    """
    losses = []
    for scores, right in ((logits, truth), (logits.T, truth.T)):
        wrong = scores.masked_fill(right, -torch.inf).logsumexp(dim=1, keepdim=True)
        usable = right & wrong.isfinite()
        # "a red star" is true of few and says much, "other content" the other way round
        weights = usable / right.sum(dim=0, keepdim=True).clamp(min=1)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
        rows = usable.any(dim=1)
        each = functional.softplus(wrong - scores).masked_fill(~usable, 0)
        losses.append((weights * each).sum(dim=1)[rows].mean())
    return (losses[0] + losses[1]) / 2


def encode_short(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """What `encode_text` gives, without computing the padding: all our texts are short. (n, 77) -> (n, 512)."""
    ends = tokens.argmax(dim=1)
    length = int(ends.max()) + 1
    states = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask[:length, :length]))
    return functional.normalize(states[torch.arange(len(tokens)), ends] @ model.text_projection, dim=-1)


def class_logits(images: Tensor, texts: Tensor, groups: Sequence[Sequence[int]], scale: Tensor) -> Tensor:
    """Scores of the ensembled prompts of each class, as zero_shot does it, with gradients. (images, classes)."""
    classes = torch.stack([functional.normalize(texts[list(group)].mean(dim=0), dim=0) for group in groups])
    return scale * images @ classes.T


class Trainer:
    """One model, its optimiser, and the steps it takes through a pool."""

    def __init__(self, pool: Pool, vocabulary: Vocabulary, seed: int, start_from: Path | None) -> None:
        torch.manual_seed(seed)
        self.model = open_clip.CLIP(**MODEL).to(memory_format=torch.channels_last)
        if start_from is not None:
            self.model.load_state_dict(load_file(start_from / WEIGHTS))
        self.pool, self.vocabulary = pool, vocabulary
        self.rng = np.random.default_rng(seed)
        self.order = self.rng.permutation(len(pool.pixels))
        self.cursor = 0
        # Words that a batch does not hold must not shrink, nor biases and scales
        decayed = [p for name, p in self.model.named_parameters() if p.ndim > 1 and "embedding" not in name]
        others = [p for name, p in self.model.named_parameters() if p.ndim <= 1 or "embedding" in name]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98))
        served = [text for prompt_set in vocabulary.prompt_sets for group in prompt_set for text in group]
        self.served = sorted({*served, *vocabulary.labels})

    def next_rows(self) -> NDArray[np.int64]:
        """The scenes of the next batch; the pool is shuffled anew after each round."""
        if self.cursor + BATCH > len(self.order):
            self.order, self.cursor = self.rng.permutation(len(self.order)), 0
        self.cursor += BATCH
        return self.order[self.cursor - BATCH : self.cursor]

    def next_composites(self) -> Tensor:
        """Photographs in front of any picture that is not a map: half of them of aerial views."""
        ground = np.flatnonzero(self.pool.categories == CATEGORIES.index("aerial_satellite"))
        front, back = (self.rng.choice(self.vocabulary.photos, COMPOSITES) for _ in range(2))
        back[: COMPOSITES // 2] = self.rng.choice(ground, COMPOSITES // 2)
        return composites(self.pool.pixels[front], self.pool.pixels[back], self.rng)

    def step(self, progress: float) -> float:
        """One batch; `progress` (0–1, the share of the time that is gone) sets the learning rate. Returns the loss."""
        rate = learning_rate(PEAK_LEARNING_RATE, progress, warm_up=0.04)
        loss = descend(self.optimizer, rate, self.loss(self.next_rows()), self.model.parameters())
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, np.log(100))
        return loss

    def loss(self, rows: NDArray[np.int64]) -> Tensor:
        """The sum of the three losses over these scenes."""
        truth = self.vocabulary.truth[rows]
        drawn = torch.multinomial(truth.float(), CAPTIONS_AN_IMAGE).flatten().tolist()
        recoloured = [
            int(other)
            for text in drawn
            if (others := self.vocabulary.recoloured[text])
            for other in self.rng.permutation(others)[:OTHER_COLOURS]
        ]
        chosen = sorted({*self.served, *drawn, *recoloured})
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


def train(pool: Pool, vocabulary: Vocabulary, seed: int, seconds: float, start_from: Path | None) -> open_clip.CLIP:
    """Train for a length of time, by the clock."""
    trainer = Trainer(pool, vocabulary, seed, start_from)
    trainer.model.train()
    steps = run_for(seconds, trainer.step)
    print(f"{steps} steps, {steps * BATCH / len(pool.pixels):.1f} rounds", flush=True)
    return trainer.model.eval()


def save(model: open_clip.CLIP, folder: Path) -> None:
    """Write the directory that `open_clip.create_model("local-dir:…")` reads; weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)


def run(output: Path | None, minutes: float, seed: int, start_from: Path | None = None) -> None:
    """Draw, train, save, measure the saved model, and write its card.

    Args:
        output: the folder to write; the bundled one when None.
        minutes: time for drawing and training together.
        seed: of the scenes and of the training.
        start_from: a folder of weights to go on from, instead of random ones.
    """
    start, folder = time.monotonic(), output or OUTPUT
    pool = draw_pool(seed, int(SCENES_PER_MINUTE * minutes) // BATCH * BATCH)
    print(f"{time.monotonic() - start:5.0f} s  {len(pool.pixels)} scenes drawn", flush=True)
    vocabulary = make_vocabulary(pool, load_prompts())
    model = train(pool, vocabulary, seed, left_for_training(start, minutes), start_from)
    save(model, folder)
    made = f"--start-from {start_from.name} " if start_from else ""
    made += f"--minutes {minutes:g} --seed {seed}`: {len(pool.pixels)} scenes"
    print(write_card(folder, f"python -m training clip {made}", seed))
