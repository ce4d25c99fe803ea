"""Packed weights compute what open_clip's own layers compute."""

import copy

import open_clip
import pytest
import torch

from deployments.runtime.packed import PackedLinear, PackedSelfAttention, pack

SMALL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2},
    "quick_gelu": True,
}


@pytest.fixture(scope="module")
def plain() -> open_clip.CLIP:
    torch.manual_seed(0)
    return open_clip.CLIP(**SMALL).eval().requires_grad_(False)


def test_both_towers_give_the_same(plain: open_clip.CLIP) -> None:
    packed = copy.deepcopy(plain)
    pack(packed)
    images = torch.randn(3, 3, 64, 64)
    texts = open_clip.get_tokenizer("ViT-B-32")(["a street map", "a much longer text about a red house by a river"])
    with torch.inference_mode():
        assert torch.allclose(packed.encode_image(images), plain.encode_image(images), atol=1e-5)
        assert torch.allclose(packed.encode_text(texts), plain.encode_text(texts), atol=1e-5)


def test_every_block_is_packed(plain: open_clip.CLIP) -> None:
    packed = copy.deepcopy(plain)
    pack(packed)
    blocks = [*packed.visual.transformer.resblocks, *packed.transformer.resblocks]
    assert all(isinstance(block.attn, PackedSelfAttention) for block in blocks)
    assert all(isinstance(layer, PackedLinear) for block in blocks for layer in (block.mlp.c_fc, block.mlp.c_proj))
