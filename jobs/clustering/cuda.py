"""Products on a GPU, in full float32, so that the same bound on their error holds as on the CPU."""

from typing import Any

import numpy as np
import torch

from deployments.clustering.components import Indices
from deployments.clustering.dbscan import Products, Singles

SIDE = 4096  # points per side: 64 MB of products, and at most 200 MB of pairs


class CudaEngine:
    """Computes products on a torch device."""

    side = SIDE

    def __init__(self, device: str = "cuda") -> None:
        """Select the device, and switch off TensorFloat-32 in this process."""
        torch.set_float32_matmul_precision("highest")
        self._device = torch.device(device)
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else device

    def load(self, single: Singles) -> Any:
        return torch.from_numpy(np.require(single, requirements=["C", "W"])).to(self._device)

    def products(self, rows: Any, columns: Any) -> Products:
        return _CudaProducts(rows @ columns.T)


class _CudaProducts:
    def __init__(self, products: torch.Tensor) -> None:
        self._products = products.reshape(-1)

    def at_least(self, bound: float) -> tuple[Indices, Singles]:
        places = torch.nonzero(self._products >= bound).reshape(-1)
        return places.cpu().numpy(), self._products[places].cpu().numpy()
