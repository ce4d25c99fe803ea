"""Image quality without a reference, through pyiqa: BRISQUE (Mittal et al. 2012) and two NIMA networks. No Ray here.

pyiqa is under the PolyForm Noncommercial licence: QUALITY_ENABLED=false runs without it.
"""

import io
import math
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from pyiqa.archs.brisque_arch import BRISQUE

from deployments.machine.devices import Device, keep_freed_memory
from deployments.models.quality.answers import QualityMeasures
from deployments.models.quality.nima import build_nima
from deployments.pictures.pixels import Pixels
from deployments.runtime.errors import ModelFailed, WeightsNotFound
from deployments.runtime.model import Model
from deployments.runtime.weights import FileWeights
from deployments.wire.foreign import foreign

# In pixels. A smaller picture has no neighbourhoods left on BRISQUE's second scale.
SMALLEST_SIDE = 16
LONGEST_RATIO = 2
NETWORKS = 2


class QualityModel(Model[Pixels, QualityMeasures]):
    """The three measures on one device. `parts` are in the order of the constructor's weights."""

    def __init__(
        self, brisque: FileWeights, technical: FileWeights, aesthetic: FileWeights, device: Device, max_pixels: int
    ) -> None:
        """Load and warm up. A picture of more than `max_pixels` is scaled down first.

        Raises:
            WeightsNotFound: a file is neither on the disk nor downloadable, or is no checkpoint of its model.
        """
        cv2.setNumThreads(device.threads)
        # The two networks run in parallel on half of the threads each: that keeps the cores busier than running one
        # after the other on all threads.
        torch.set_num_threads(max(1, device.threads // NETWORKS))
        self._side_by_side = ThreadPoolExecutor(NETWORKS, thread_name_prefix="measure")
        self.device, self.device_name, self._max_pixels = device, device.name, max_pixels
        self.parts = (brisque, technical, aesthetic)
        self._brisque, brisque_s = _timed(lambda: _load_brisque(brisque))
        self._technical, technical_s = _timed(lambda: _load_nima(technical, device))
        self._aesthetic, aesthetic_s = _timed(lambda: _load_nima(aesthetic, device))
        self.load_times_s = (brisque_s, technical_s, aesthetic_s)
        self.warm_up()
        keep_freed_memory()

    def warm_up(self) -> None:
        """Run each measure once; raises ModelFailed when the model or its device is broken."""
        self.measure(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))

    def results(self, items: list[Pixels]) -> list[QualityMeasures]:
        """Measure images one by one: they differ in size, and a batch gains little on a CPU."""
        return [self.measure(image) for image in items]

    def measure(self, image: Pixels) -> QualityMeasures:
        """Measure an RGB image (h, w, 3) of 0–255.

        Raises:
            ModelFailed: a pass failed, or a network gave a score that is not finite.
        """
        pixels = torch.from_numpy(self._bounded(image)).to(self.device.torch_device)
        tensor = pixels.permute(2, 0, 1)[None].float() / 255
        centre = _centre(tensor)
        try:
            submit = self._side_by_side.submit
            networks = [submit(self._score, network, centre) for network in (self._technical, self._aesthetic)]
            brisque = submit(self._measure_brisque, tensor).result()
            technical, aesthetic = (network.result() for network in networks)
        except RuntimeError as error:  # torch's out-of-memory and device errors are RuntimeErrors
            raise ModelFailed(f"a quality measure failed: {foreign(error)}") from error
        if not math.isfinite(technical + aesthetic):
            raise ModelFailed("a quality network gave a score that is not finite")
        # KonIQ-10k's network gives 0–1, AVA's the mean of a distribution over 1 to 10.
        technical = min(10.0, max(1.0, 1 + 9 * technical))
        return QualityMeasures(brisque, technical, aesthetic)

    def _score(self, measure: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor) -> float:
        with torch.inference_mode():
            return float(measure(tensor))

    def _measure_brisque(self, tensor: torch.Tensor) -> float | None:
        if min(tensor.shape[-2:]) < SMALLEST_SIDE:
            return None
        try:
            score = self._score(self._brisque, tensor)
        except AssertionError:  # pyiqa raises it when all pixels are the same
            return None
        return score if math.isfinite(score) else None

    def _bounded(self, image: Pixels) -> Pixels:
        height, width = image.shape[:2]
        if height * width <= self._max_pixels:
            return np.require(image, requirements="W")  # torch requires writable memory
        scale = math.sqrt(self._max_pixels / (height * width))
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _centre(tensor: torch.Tensor) -> torch.Tensor:
    """The middle of a long picture: NIMA scales the whole of it before it crops the centre, so the rest is wasted."""
    height, width = tensor.shape[-2:]
    longest = LONGEST_RATIO * min(height, width)
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return tensor[..., top : top + longest, left : left + longest]


def _timed(load: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return load(), time.perf_counter() - started


def _load_brisque(weights: FileWeights) -> BRISQUE:
    vectors = io.BytesIO()
    # pyiqa unpickles whatever it is given: it gets the tensors as they are saved here, never the file itself.
    torch.save(_read_tensors(weights), vectors)
    vectors.seek(0)
    try:
        return BRISQUE(pretrained_model_path=vectors)
    except (TypeError, ValueError) as error:
        raise WeightsNotFound(f"{weights.id}: {weights.path} holds no support vectors ({foreign(error)})") from error


def _load_nima(weights: FileWeights, device: Device) -> torch.nn.Module:
    network = build_nima(**weights.options)
    checkpoint = _read_tensors(weights)
    try:
        network.load_state_dict(checkpoint["params"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise WeightsNotFound(f"{weights.id}: the file is no checkpoint of this network ({foreign(error)})") from error
    return network.eval().requires_grad_(False).to(device.torch_device, device.dtype)


def _read_tensors(weights: FileWeights) -> Any:
    try:
        data = weights.read()
    except WeightsNotFound as error:
        raise WeightsNotFound(
            f"{weights.id}: {error}. Put the file into $TORCH_HOME/hub/pyiqa, allow its download, or set "
            "WEIGHTS=bundled."
        ) from error
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsNotFound(
            f"{weights.id}: {weights.path} cannot be read as plain tensors ({foreign(error)})"
        ) from error
