"""pyiqa's NIMA network (Talebi and Milanfar 2018, arXiv:1709.05424), built without asking the hub for its backbone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import timm
import torch
from pyiqa.archs import nima_arch


def build_nima(base_model_name: str, num_classes: int) -> torch.nn.Module:
    """The network with random weights, in training mode.

    It takes (n, 3, h, w) RGB in 0–1. In evaluation mode it scales a picture and crops its centre to the input size.

    Args:
        base_model_name: timm's name of the backbone.
        num_classes: 1 for a network that gives the score itself, 10 for a distribution over the scores 1 to 10.
    """
    with _untrained_backbone():
        network: torch.nn.Module = nima_arch.NIMA(base_model_name, num_classes=num_classes, pretrained=False)
    return network


@contextmanager
def _untrained_backbone() -> Iterator[None]:
    """NIMA's constructor asks timm for trained weights, which its own checkpoint then replaces."""
    create = timm.create_model

    def untrained(*args: Any, **options: Any) -> Any:
        return create(*args, **{**options, "pretrained": False})

    nima_arch.timm.create_model = untrained
    try:
        yield
    finally:
        nima_arch.timm.create_model = create
