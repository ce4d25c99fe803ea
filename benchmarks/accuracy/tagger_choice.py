"""Why LeViT-384 is the default tagger: the published accuracies of candidates, and the milliseconds that each takes.

Random weights in the published shapes, 224 × 224 pixels, transformers' own models unchanged. About a minute.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers

from benchmarks import report

BATCHES = (1, 8)
ROUNDS = 7
LEVIT = {"depths": [4, 4, 4], "key_dim": [32, 32, 32], "num_labels": 1000}
Build = Callable[[], Any]


def candidates() -> dict[str, tuple[float, str, Build]]:
    """By hub id: the top-1 accuracy on ImageNet-1k in percent, its source, and what builds the model."""
    t: Any = transformers
    levit = t.LevitForImageClassificationWithTeacher
    return {
        "google/mobilenet_v2_1.0_224": (
            71.8, "Sandler et al. 2018, the published checkpoint",
            lambda: t.MobileNetV2ForImageClassification(t.MobileNetV2Config(num_labels=1001)),
        ),
        "facebook/levit-256": (
            81.6, "Graham et al. 2021",
            lambda: levit(t.LevitConfig(hidden_sizes=[256, 384, 512], num_attention_heads=[4, 6, 8], **LEVIT)),
        ),
        "facebook/levit-384": (
            82.6, "Graham et al. 2021",
            lambda: levit(t.LevitConfig(hidden_sizes=[384, 512, 768], num_attention_heads=[6, 9, 12], **LEVIT)),
        ),
        "microsoft/swin-tiny-patch4-window7-224": (
            81.3, "Liu et al. 2021", lambda: t.SwinForImageClassification(t.SwinConfig(num_labels=1000)),
        ),
        "facebook/convnext-tiny-224": (
            82.1, "Liu et al. 2022", lambda: t.ConvNextForImageClassification(t.ConvNextConfig(num_labels=1000)),
        ),
    }  # fmt: skip


def milliseconds(models: dict[str, Any], batch: int) -> dict[str, float]:
    """Milliseconds for one image by model: the best of ROUNDS passes, in which the models take turns."""
    pixels = torch.randn(batch, 3, 224, 224)
    best = dict.fromkeys(models, float("inf"))
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, model in models.items():
                started = time.perf_counter()
                model(pixels)
                best[name] = min(best[name], time.perf_counter() - started)
    return {name: 1000 * seconds / batch for name, seconds in best.items()}


def main() -> None:
    """Measure, print the section and write it to RESULTS.md."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    known = candidates()
    models = {name: build().eval() for name, (_, _, build) in known.items()}
    times = {batch: milliseconds(models, batch) for batch in BATCHES}
    lines = [
        "## Which tagger",
        "",
        f"{report.machine('torch', 'transformers')}. `python -m benchmarks.accuracy.tagger_choice`",
        "",
        "| checkpoint | top-1, ImageNet-1k | published in | ms an image, batch 1 | batch 8 |",
        "|---|--:|---|--:|--:|",
        *(
            f"| {name} | {accuracy} % | {source} | {times[1][name]:.0f} | {times[8][name]:.0f} |"
            for name, (accuracy, source, _) in known.items()
        ),
    ]
    section = "\n".join(lines)
    print(section)
    report.update_section("tagger-choice", section)


if __name__ == "__main__":
    main()
