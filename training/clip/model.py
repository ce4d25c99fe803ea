"""The bundled CLIP's network: its configuration for open_clip, a fast way to encode texts, and its files."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from training.weights import halved

WEIGHTS = "open_clip_model.safetensors"
IMAGE_SIZE = 112
MODEL: dict[str, Any] = {
    "embed_dim": 512,
    # CLIP's own ResNet, small: from as many pictures and in as much time it learnt more than timm's mobile networks
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


def encode_short(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """The embeddings that `encode_text` gives, without computing the padding: all texts here are short.

    Args:
        tokens: int64 (n, 77).

    Returns:
        (n, 512), L2-normalised.
    """
    ends = tokens.argmax(dim=1)
    length = int(ends.max()) + 1
    states = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask[:length, :length]))
    return functional.normalize(states[torch.arange(len(tokens)), ends] @ model.text_projection, dim=-1)


def save(model: open_clip.CLIP, folder: Path) -> None:
    """Write a folder that `open_clip.create_model("local-dir:…")` reads, the weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: value.contiguous() for name, value in halved(model).items()}, folder / WEIGHTS)
