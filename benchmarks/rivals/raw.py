"""The raw limit: how fast one process handles the same photos without a server.

`plain` decodes a batch photo by photo and then runs it; targets refer to this figure. `threaded` decodes with a thread
on each core: the most that this library and model reach on this machine.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import torch

from benchmarks.rivals.clip import MAX_BATCH, THREADS, OpenClip
from testbed import photos

Decoder = Callable[[Iterable[bytes]], list[torch.Tensor]]


def measure(clip: OpenClip, seconds: float) -> dict[str, float]:
    """Images/s of both ways. Their batches take turns, so that a slow minute affects both."""
    stream = cycle([photo.data for photo in photos.load()])
    texts = clip.embed_classes()
    spent = {"plain": 0.0, "threaded": 0.0}
    images = dict.fromkeys(spent, 0)
    with ThreadPoolExecutor(THREADS) as pool:
        decoders: dict[str, Decoder] = {
            "plain": lambda batch: [clip.decode(data) for data in batch],
            "threaded": lambda batch: list(pool.map(clip.decode, batch)),
        }
        for decode in decoders.values():
            _run(clip, decode, list(islice(stream, MAX_BATCH)), texts)  # warm-up
        while sum(spent.values()) < 2 * seconds:
            batch = list(islice(stream, MAX_BATCH))  # the same photos for both
            for name, decode in decoders.items():
                spent[name] += _run(clip, decode, batch, texts)
                images[name] += MAX_BATCH
    return {name: images[name] / spent[name] for name in spent}


def _run(clip: OpenClip, decode: Decoder, batch: list[bytes], texts: torch.Tensor) -> float:
    started = time.perf_counter()
    clip.probabilities(torch.stack(decode(batch)), texts)
    return time.perf_counter() - started


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="for each of the two ways")
    options = parser.parse_args()
    print(json.dumps(measure(OpenClip(options.weights), options.seconds)))


if __name__ == "__main__":
    main()
