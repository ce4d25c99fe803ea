"""Transformer layers for float32 on the CPU with their weights packed once, for oneDNN, instead of at every call.

torch's own `Linear` hands its weight to the BLAS as it lies and `MultiheadAttention` does the same: at 50 tokens (one
image of ViT-B/32) packing costs a third of the product. The operators are those that torch's compiler (inductor,
"freezing") emits for the same purpose; the results differ by rounding alone. `benchmarks/RESULTS.md` has the gain.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

logger = logging.getLogger("ray.serve.panoptes.packed")


class PackedLinear(nn.Module):
    """`nn.Linear` for inference; `weight` is in oneDNN's own layout."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = torch.ops.mkldnn._reorder_linear_weight(weight.detach()), bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return y


class PackedSelfAttention(nn.Module):
    """`nn.MultiheadAttention`, batch first, of a sequence with itself; for inference."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads = attention.num_heads
        assert attention.in_proj_weight is not None  # noqa: S101 - `is_packable` asked
        self._into = PackedLinear(attention.in_proj_weight, attention.in_proj_bias)
        self._out = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """(batch, tokens, width) -> the same, and no attention weights; `key` and `value` are `query` itself."""
        batch, tokens, width = query.shape
        q, k, v = self._into(query).view(batch, tokens, 3, self._heads, width // self._heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self._out(mixed.transpose(1, 2).reshape(batch, tokens, width)), None


def pack(model: nn.Module) -> None:
    """Pack every residual attention block of an open_clip model, in place; it can neither train nor move after that."""
    if not _can_pack():
        return
    blocks: list[Any] = [block for block in model.modules() if _is_packable(block)]
    for block in blocks:
        block.attn = PackedSelfAttention(block.attn)
        for name, layer in list(block.mlp.named_children()):
            if isinstance(layer, nn.Linear):
                setattr(block.mlp, name, PackedLinear(layer.weight, layer.bias))


def _is_packable(block: Any) -> bool:
    """Whether a module is a block of attention and MLP as open_clip's CLIP models have them."""
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
    """Pack every `nn.Linear` whose weight is its own, in place; the model can neither train nor move after that.

    A weight that is also an embedding's, as at the end of a language model, stays: packed it would be there twice.
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
