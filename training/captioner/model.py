"""The captioner's parts: a small BLIP, its words, and what its vision tower learns beside captions."""

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

SIDE, PATCH = 120, 12
GRID = SIDE // PATCH
WIDTH, HEADS, TEXT_HEADS = 128, 8, 4
VISION_LAYERS, TEXT_LAYERS = 4, 2
LOCAL_LAYERS = 3  # of the vision tower, that begin as convolutions
NEIGHBOURS = tuple((across, down) for down in (-1, 0, 1) for across in (-1, 0, 1) if across or down)
WAVES = (0.3, 0.6, 1.2, 2.0)  # radians from one patch to the next
SHARPNESS, FAINT = 2.2, 0.1  # of attention by position, and by anything else, to begin with
LONGEST = 64  # words of a caption, far more than there are
BEGINNING = "[DEC]"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", BEGINNING, "[MASK]")
COLOURS = tuple(NAMED)
NOTHING = 0  # where no thing is; the names and the colours count from 1


def fresh_processor() -> BlipProcessor:
    """Squeezes pictures into a square and knows the words of the captions."""
    words = {word: index for index, word in enumerate((*SPECIAL, *vocabulary()))}
    # As the beginning of a sentence it is a special word, which captions that are read back leave out
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
    """Make the vision tower begin as a convolutional network, which learns what things look like far sooner.

    In its first layers each head attends to one of the eight neighbours of a patch: positions are waves, and a head
    turns those of its own patch by the way to the neighbour (after d'Ascoli et al. 2021, "ConViT").
    """
    place = torch.arange(GRID * GRID)
    phases = torch.cat([axis[:, None] * torch.tensor(WAVES) for axis in (place % GRID, place // GRID)], dim=1)
    own = 2 * phases.shape[1]  # dimensions of the waves, as many as a head has
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
    """[DEC], words, [SEP], padding. int64 (captions, length)."""
    ids: Tensor = processor.tokenizer(list(captions), padding=True, return_tensors="pt").input_ids
    ids[:, 0] = processor.tokenizer.bos_token_id
    return ids


@dataclass(frozen=True)
class Patches:
    """What lies in each patch of pictures, all (n, GRID * GRID): its name and its colour, NOTHING or counted from 1 in
    NAMES and COLOURS, and whether the middle of a thing lies there.
    """

    names: Tensor
    colours: Tensor
    middles: Tensor


def patches_of(pictures: Sequence[tuple[tuple[int, int], Sequence[Thing]]]) -> Patches:
    """The patches of pictures, each given by its width and height and the things in it."""
    names, colours = (torch.full((len(pictures), GRID, GRID), NOTHING) for _ in range(2))
    middles = torch.zeros(len(pictures), GRID, GRID)
    for row, ((width, height), things) in enumerate(pictures):
        for thing in things:
            left, top, right, bottom = (
                value * GRID / extent for value, extent in zip(thing.box, (width, height) * 2, strict=True)
            )
            x, y = int((left + right) / 2), int((top + bottom) / 2)
            # Patches whose middle is in the box, and always the one in the middle of the box
            across = slice(min(x, round(left)), max(x + 1, round(right)))
            down = slice(min(y, round(top)), max(y + 1, round(bottom)))
            names[row, down, across] = 1 + NAMES.index(thing.name)
            colours[row, down, across] = 1 + COLOURS.index(thing.colour)
            middles[row, y, x] = 1
    return Patches(names.flatten(1), colours.flatten(1), middles.flatten(1))


class PatchReader(nn.Module):
    """Says what lies in each patch: a single layer on the vision tower, for training only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, 2 + len(NAMES) + len(COLOURS) + 1)
        # Most patches show nothing; names are what takes longest to learn
        self.name_weights = torch.tensor([0.3, *[1.0] * len(NAMES)])

    def loss(self, states: Tensor, truth: Patches) -> Tensor:
        """How wrong it is about the states (n, 1 + GRID * GRID, WIDTH) of a vision tower."""
        parts = self.layer(states[:, 1:]).flatten(0, 1).split([1 + len(NAMES), 1 + len(COLOURS), 1], dim=1)
        names = functional.cross_entropy(parts[0], truth.names.flatten(), weight=self.name_weights)
        colours = functional.cross_entropy(parts[1], truth.colours.flatten())
        middles = functional.binary_cross_entropy_with_logits(parts[2][:, 0], truth.middles.flatten())
        return names + colours + 2 * middles


def save(model: BlipForConditionalGeneration, processor: BlipProcessor, folder: Path) -> None:
    """Write the folder that transformers reads; weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)
