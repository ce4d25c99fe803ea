"""A network without Serve, on one device: its raw limit, and the throughput of one replica's model.

Raw limit: the library's own model with its input already on the device, so that only the network is timed. One
replica: Panoptes' model in this process, from pictures in the machine's memory to results there.
"""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
import transformers
from torch import Tensor

from benchmarks import cli
from benchmarks.gpu.pictures import pictures
from benchmarks.sections.descriptions import TOKENS
from configs.registry import PretrainedEntry, read_entry
from configs.settings import load_settings
from deployments.machine.devices import Device, select
from deployments.models.captioner.model import CaptionerModel
from deployments.models.captioner.settings import CaptionerSettings
from deployments.models.clip.model import ClipModel
from deployments.models.clip.settings import ClipEntry, ClipSettings
from deployments.models.clip.weights import choose_clip
from deployments.models.tagger.model import TaggerModel
from deployments.models.tagger.settings import TaggerSettings
from deployments.runtime.weights import Policy, choose_pretrained

WARM_UP_PASSES = 3


@dataclass(frozen=True)
class Network:
    """A network. `compute` takes (n, *shape) on the device, and may return before the device has finished."""

    compute: Callable[[Tensor], Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Limit:
    """Of one batch size: images/s, and the peak of the bytes that torch allocated on the GPU (0 on the CPU)."""

    batch: int
    throughput: float
    peak_bytes: int


def load(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """Load a deployment's network from its folder, as the documentation of its library does."""
    if name == "Clip":
        clip: Any = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True)
        clip = clip.eval().to(device, dtype)
        return Network(lambda pixels: clip.encode_image(pixels, normalize=True), (3, *_pair(clip.visual.image_size)))
    library: Any = transformers
    kind = library.AutoModelForImageClassification if name == "Tagger" else library.BlipForConditionalGeneration
    model: Any = kind.from_pretrained(folder).eval().to(device, dtype)
    processor: Any = library.AutoImageProcessor.from_pretrained(folder)
    prepared = processor(images=np.zeros((512, 512, 3), np.uint8), return_tensors="pt")["pixel_values"]
    if name == "Tagger":
        return Network(lambda pixels: model(pixel_values=pixels).logits, tuple(prepared.shape[1:]))
    return Network(
        lambda pixels: model.generate(pixel_values=pixels, max_new_tokens=TOKENS, num_beams=1),
        tuple(prepared.shape[1:]),
    )


def limit(network: Network, batch: int, device: torch.device, dtype: torch.dtype, seconds: float) -> Limit:
    """The raw limit at a batch size: passes one after another, each waited for."""
    pixels = torch.randn(batch, *network.shape).to(device, dtype)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)

    def compute() -> None:
        network.compute(pixels)
        if on_gpu:
            torch.cuda.synchronize(device)

    with torch.inference_mode():
        throughput = _throughput(compute, batch, seconds)
    return Limit(batch, throughput, torch.cuda.max_memory_allocated(device) if on_gpu else 0)


def replica(name: str, policy: Policy, device: Device, batch: int, seconds: float) -> float:
    """Images/s of Panoptes' model, from pictures (h, w, 3) uint8 to results, in batches of this size."""
    settings = load_settings()
    if name == "Clip":
        entry = read_entry("clip", ClipEntry)
        clip = ClipModel(choose_clip(entry, settings.of(ClipSettings).model_name, policy), device)
        images = list(islice(pictures(name, clip.weights.image.size), batch))
        return _throughput(lambda: clip.encode_images(images), batch, seconds)
    chosen = settings.of(TaggerSettings if name == "Tagger" else CaptionerSettings)
    weights = choose_pretrained(chosen.name, read_entry(chosen.name, PretrainedEntry), chosen.model_name, policy)
    model: Any = TaggerModel(weights, device) if name == "Tagger" else CaptionerModel(weights, device, TOKENS)
    images = list(islice(pictures(name), batch))
    with ThreadPoolExecutor(device.threads) as pool:
        return _throughput(lambda: model.results(list(pool.map(model.prepare, images))), batch, seconds)


def _throughput(compute: Callable[[], object], batch: int, seconds: float) -> float:
    for _ in range(WARM_UP_PASSES):
        compute()
    passes, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        compute()
        passes += 1
    return passes * batch / (time.perf_counter() - started)


def _pair(size: Any) -> tuple[int, int]:
    return cast("tuple[int, int]", tuple(size)) if isinstance(size, tuple | list) else (size, size)


def main() -> None:
    """Measure one network in one type and print the figures as JSON; the process does nothing else."""
    parser = cli.parser(__doc__)
    parser.add_argument("name", choices=("Clip", "Tagger", "Captioner"))
    parser.add_argument("folder", type=Path, help="with the network and its configuration")
    parser.add_argument("--device", required=True)
    parser.add_argument("--dtype", required=True, help="torch's name of a type")
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--weights", choices=("hub", "bundled"), required=True, help="of the replica's model")
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    network = load(options.name, options.folder, device, dtype)
    limits = [limit(network, batch, device, dtype, options.seconds) for batch in options.batches]
    del network
    chosen = select({device.type: options.dtype}, 0, float(device.type == "cuda"))
    ours = replica(options.name, options.weights, chosen, options.batches[-1], options.seconds)
    print(json.dumps({"limits": [asdict(one) for one in limits], "replica": ours}))


if __name__ == "__main__":
    main()
