"""Transformer layers for float32 on the CPU whose weights are packed for oneDNN once, instead of at every call.

torch's `Linear` and `MultiheadAttention` pass their weights to the BLAS unpacked. At 50 tokens (one image of ViT-B/32)
packing them costs a third of the time of the product. The operators used here are those that torch's compiler
(inductor, "freezing") emits for this purpose; results differ only by rounding. `benchmarks/RESULTS.md` has the gain.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

logger = logging.getLogger("ray.serve.panoptes.packed")


class PackedLinear(nn.Module):
    """`nn.Linear` for inference, with `weight` in oneDNN's own layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = torch.ops.mkldnn._reorder_linear_weight(weight.detach()), bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return y


class PackedSelfAttention(nn.Module):
    """`nn.MultiheadAttention` for inference: self-attention, batch first."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads = attention.num_heads
        assert attention.in_proj_weight is not None  # noqa: S101 - `_is_packable` checked it
        self._into = PackedLinear(attention.in_proj_weight, attention.in_proj_bias)
        self._out = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """(batch, tokens, width) -> (batch, tokens, width), None. `key` and `value` must be `query` itself."""
        batch, tokens, width = query.shape
        q, k, v = self._into(query).view(batch, tokens, 3, self._heads, width // self._heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self._out(mixed.transpose(1, 2).reshape(batch, tokens, width)), None


def pack(model: nn.Module) -> None:
    """Pack all residual attention blocks of an open_clip model in place. It can then not train or change device."""
    if not _can_pack():
        return
    blocks: list[Any] = [block for block in model.modules() if _is_packable(block)]
    for block in blocks:
        block.attn = PackedSelfAttention(block.attn)
        for name, layer in list(block.mlp.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(block.mlp, name, PackedLinear(layer.weight, layer.bias))


def _is_packable(block: Any) -> bool:
    """Whether a module is a block of self-attention and MLP as in open_clip's CLIP models."""
    attention = getattr(block, "attn", None)
    return (
        isinstance(attention, nn.MultiheadAttention)
        and attention.batch_first
        and attention.in_proj_weight is not None
        and attention.bias_k is None
        and not attention.add_zero_attn
        and isinstance(getattr(block, "mlp", None), nn.Module)
        and not hasattr(block, "ln_1_kv")  # cross-attention
    )


def pack_linears(model: nn.Module) -> None:
    """Pack all `nn.Linear` in place. The model can then not train or change device.

    Weights shared with an embedding, as in the last layer of a language model, are left: packed, they would take memory
    twice.
    """
    if not _can_pack():
        return
    shared = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is nn.Linear and id(layer.weight) not in shared:
                setattr(module, name, PackedLinear(layer.weight, layer.bias))


def _can_pack() -> bool:
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    if not available:
        logger.warning("torch was built without oneDNN here: the model computes with unpacked weights")
    return available
