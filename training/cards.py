"""What the model cards have in common: the command that made the weights, rows of figures, and timings."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from PIL import Image

BATCHES = (1, 8)


def command(model: str, minutes: float, seed: int, *options: str) -> str:
    """The command that trains a model, as code in Markdown; `options` come before the others."""
    words = ["python -m training", model, *options, f"--minutes {minutes:g}", f"--seed {seed}"]
    return f"`{' '.join(words)}`"


def table_rows(figures: Mapping[str, str]) -> str:
    """The rows of a Markdown table of two columns."""
    return "\n".join(f"| {name} | {figure} |" for name, figure in figures.items())


def most_frequent(mistakes: Counter[str]) -> str:
    """The five most frequent mistakes with their numbers, or "none"."""
    return ", ".join(f"{mistake} ({times})" for mistake, times in mistakes.most_common(5)) or "none"


def million_parameters(network: torch.nn.Module) -> float:
    """The number of the network's parameters in millions."""
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def milliseconds(call: Callable[[], object], calls: int) -> float:
    """The time of the quickest of several calls, since slower ones waited for other processes."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def timings(answer: Callable[[Sequence[Image.Image]], object], image: Image.Image, calls: int) -> dict[str, str]:
    """What one image takes in batches of each size of BATCHES, as figures of a card.

    Args:
        answer: what is timed; it takes the images of a batch.
        calls: how often each size is timed; the quickest counts.
    """
    figures = {}
    for batch in BATCHES:
        each = milliseconds(partial(answer, [image] * batch), calls) / batch
        figures[f"CPU, an image in a batch of {batch}, {torch.get_num_threads()} threads"] = f"{each:.1f} ms"
    return figures
