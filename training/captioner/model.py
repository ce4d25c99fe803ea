"""The captioner's parts: a small BLIP, its vocabulary, and the second task of its vision tower.

While the decoder learns captions, the vision tower also learns to name what lies in each of its patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    BlipVisionModel,
)

from training.drawing.colours import NAMED
from training.drawing.families.arrangement import NAMES, Thing
from training.drawing.wording import vocabulary
from training.grid import covered
from training.weights import halved

SIDE, PATCH = 120, 12
GRID = SIDE // PATCH
WIDTH, HEADS, TEXT_HEADS = 128, 8, 4
VISION_LAYERS, TEXT_LAYERS = 4, 2
LOCAL_LAYERS = 3  # layers of the vision tower that begin as convolutions
NEIGHBOURS = tuple((across, down) for down in (-1, 0, 1) for across in (-1, 0, 1) if across or down)
WAVES = (0.3, 0.6, 1.2, 2.0)  # radians from one patch to the next
SHARPNESS, FAINT = 2.2, 0.1  # scales of the first attention weights: by position, and by anything else
LONGEST = 64  # tokens of a caption: far more than any has
BEGINNING = "[DEC]"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", BEGINNING, "[MASK]")
COLOURS = tuple(NAMED)
NOTHING = 0  # in a patch without a thing; names and colours count from 1


def fresh_processor() -> BlipProcessor:
    """A processor that squeezes pictures into a square and knows the words of the captions."""
    words = {word: index for index, word in enumerate((*SPECIAL, *vocabulary()))}
    # Declared as bos_token, BEGINNING counts as special: decoding with skip_special_tokens leaves it out
    tokenizer = BertTokenizer(vocab=words, bos_token=BEGINNING)
    size = {"height": SIDE, "width": SIDE}
    images = BlipImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return BlipProcessor(images, tokenizer)  # type: ignore[no-untyped-call]


def fresh_model(processor: BlipProcessor) -> BlipForConditionalGeneration:
    """The network with random weights."""
    words = processor.tokenizer
    shape = {"hidden_size": WIDTH, "projection_dim": WIDTH, "initializer_range": 0.05}
    vision = {"num_hidden_layers": VISION_LAYERS, "intermediate_size": 3 * WIDTH, "image_size": SIDE}
    vision |= {"patch_size": PATCH, "num_attention_heads": HEADS}
    text = {"num_hidden_layers": TEXT_LAYERS, "intermediate_size": 2 * WIDTH, "max_position_embeddings": LONGEST}
    text["num_attention_heads"] = TEXT_HEADS
    ids = {"vocab_size": len(words), "bos_token_id": words.bos_token_id, "pad_token_id": words.pad_token_id}
    ends = {"eos_token_id": words.sep_token_id, "sep_token_id": words.sep_token_id}
    config = BlipConfig(vision_config={**shape, **vision}, text_config={**shape, **text, **ids, **ends})
    model = BlipForConditionalGeneration(config)
    look_around(model.vision_model)
    return model


@torch.no_grad()
def look_around(tower: BlipVisionModel) -> None:
    """Initialise the vision tower so that it begins as a convolutional network, which learns shapes far sooner.

    In its first layers each head attends to one of the eight neighbours of a patch: positions are encoded as waves,
    and a head rotates those of its own patch by the step to the neighbour (after d'Ascoli et al. 2021, "ConViT").
    """
    place = torch.arange(GRID * GRID)
    phases = torch.cat([axis[:, None] * torch.tensor(WAVES) for axis in (place % GRID, place // GRID)], dim=1)
    own = 2 * phases.shape[1]  # dimensions that the waves take: the width of one head
    positions = tower.embeddings.position_embedding[0]
    positions[0, :own] = 0
    positions[1:, :own] = torch.cat([phases.cos(), phases.sin()], dim=1)
    tower.embeddings.patch_embedding.weight[:own] = 0
    layers: Any = tower.encoder.layers[:LOCAL_LAYERS]
    for layer in layers:
        layer.self_attn.projection.weight[:own] = 0
        layer.mlp.fc2.weight[:own] = 0
        queries, keys, _ = layer.self_attn.qkv.weight.view(3, HEADS, own, WIDTH)
        queries *= FAINT
        keys *= FAINT
        for head, (across, down) in enumerate(NEIGHBOURS):
            turn = torch.tensor([step * wave for step in (across, down) for wave in WAVES])
            cosine, sine = turn.cos().diag(), turn.sin().diag()
            rotation = torch.cat([torch.cat([cosine, -sine], dim=1), torch.cat([sine, cosine], dim=1)])
            queries[head, :, :own] = SHARPNESS * rotation
            keys[head, :, :own] = SHARPNESS * torch.eye(own)


def tokens(processor: BlipProcessor, captions: Sequence[str]) -> Tensor:
    """Captions as BLIP's decoder takes them: [DEC], words, [SEP], padding. int64 (captions, length)."""
    ids: Tensor = processor.tokenizer(list(captions), padding=True, return_tensors="pt").input_ids
    ids[:, 0] = processor.tokenizer.bos_token_id
    return ids


@dataclass(frozen=True)
class Patches:
    """What lies in each patch of n pictures; every tensor is (n, GRID * GRID).

    Attributes:
        names: of the thing in the patch, counted from 1 in NAMES; NOTHING without one.
        colours: likewise, counted in COLOURS.
        middles: 1 where the middle of a thing lies, else 0.
    """

    names: Tensor
    colours: Tensor
    middles: Tensor


def patches_of(pictures: Sequence[tuple[tuple[int, int], Sequence[Thing]]]) -> Patches:
    """The patches of pictures, each given as (width, height) in pixels and the things in it."""
    names, colours = (torch.full((len(pictures), GRID, GRID), NOTHING) for _ in range(2))
    middles = torch.zeros(len(pictures), GRID, GRID)
    for row, ((width, height), things) in enumerate(pictures):
        for thing in things:
            left, top, right, bottom = thing.box
            rows, columns, middle = covered(
                (left * GRID / width, top * GRID / height, right * GRID / width, bottom * GRID / height)
            )
            names[row, rows, columns] = 1 + NAMES.index(thing.name)
            colours[row, rows, columns] = 1 + COLOURS.index(thing.colour)
            middles[row, *middle] = 1
    return Patches(names.flatten(1), colours.flatten(1), middles.flatten(1))


class PatchReader(nn.Module):
    """A layer on the vision tower that says what lies in each patch; used in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, 2 + len(NAMES) + len(COLOURS) + 1)
        # Most patches show nothing, and names take longest to learn
        self.name_weights = torch.tensor([0.3, *[1.0] * len(NAMES)])

    def loss(self, states: Tensor, truth: Patches) -> Tensor:
        """The loss for the last states (n, 1 + GRID * GRID, WIDTH) of the vision tower."""
        parts = self.layer(states[:, 1:]).flatten(0, 1).split([1 + len(NAMES), 1 + len(COLOURS), 1], dim=1)
        names = functional.cross_entropy(parts[0], truth.names.flatten(), weight=self.name_weights)
        colours = functional.cross_entropy(parts[1], truth.colours.flatten())
        middles = functional.binary_cross_entropy_with_logits(parts[2][:, 0], truth.middles.flatten())
        return names + colours + 2 * middles


def save(model: BlipForConditionalGeneration, processor: BlipProcessor, folder: Path) -> None:
    """Write a folder that transformers reads, the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, state_dict=halved(model))
    processor.save_pretrained(folder)
