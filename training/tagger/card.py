"""Measures the bundled tagger as transformers loads it, and writes its card."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from training.cards import million_parameters, most_frequent, table_rows, timings
from training.drawing.wording import class_of
from training.tagger.scenes import CLASSES, fresh_scenes

MEASURED = 960  # scenes
TIMED = 10  # calls for each batch size

CARD = """# {name}

A small image classifier for transformers (ResNet, {parameters:.2f} M parameters, {side} × {side} px, half precision),
so that the server tags pictures on a machine with no other weights. Trained on scenes that this project draws itself
(`training/scenes.py`) and on nothing else: **it knows those drawings. What it says of a real photograph means
nothing.**

Made by {made}.

Every class came up equally often. The five styles of street maps are one class, and drawings of several things belong
to none; each other kind of scene is a class: {classes} of them. Pictures are squeezed to {side} × {side} px (bilinear),
and their pixels scaled to -1 to 1. Its configuration asks for float32, which CPUs compute fastest.

On {count} fresh scenes, the classes in turn, drawn from seeds that training cannot reach:

| what | figure |
|---|---|
{rows}

Most frequent mistakes: {mistakes}.
"""


class Saved:
    """The tagger as it is served: processor and model read back from their folder."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        self.model = AutoModelForImageClassification.from_pretrained(folder).eval()

    @torch.inference_mode()
    def tags(self, images: Sequence[Image.Image], best: int = 5) -> list[list[str]]:
        """The `best` most likely classes of each image, the likeliest first."""
        logits = self.model(**self.processor(list(images), return_tensors="pt")).logits
        return [[self.model.config.id2label[int(index)] for index in row] for row in logits.topk(best).indices]


@dataclass
class TaggerAccuracy:
    """What a tagger got right.

    Attributes:
        scenes: how many it was asked about.
        right: of how many the class was the first tag.
        among: of how many the class was among the first five tags.
        of_class: `right` by class.
        mistakes: how often each class was taken for each other one.
    """

    scenes: int = 0
    right: int = 0
    among: int = 0
    of_class: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)

    def rows(self) -> dict[str, str]:
        """The figures of the card."""
        worst = min(CLASSES, key=lambda name: self.of_class[name])
        return {
            "the right class first": f"{100 * self.right / self.scenes:.1f} %",
            "the right class among the first five": f"{100 * self.among / self.scenes:.1f} %",
            f"the worst class ({worst})": f"{100 * self.of_class[worst] * len(CLASSES) / self.scenes:.0f} %",
        }


def measure(saved: Saved, seed: int, count: int) -> TaggerAccuracy:
    """Ask a saved tagger about `count` scenes that training has not seen."""
    figures = TaggerAccuracy()
    for scene in fresh_scenes(count, seed):
        answer, tags = class_of(scene.kind), saved.tags([scene.image])[0]
        figures.scenes += 1
        figures.right += tags[0] == answer
        figures.among += answer in tags
        figures.of_class[answer] += tags[0] == answer
        if tags[0] != answer:
            figures.mistakes[f"{answer} taken for {tags[0]}"] += 1
    return figures


def write_card(folder: Path, made: str, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its rows of figures.

    Args:
        made: the command that made them and what it drew, in Markdown.
        seed: of the evaluation scenes.
    """
    saved = Saved(folder)
    figures, image = measure(saved, seed, MEASURED), next(fresh_scenes(1, seed)).image
    rows = table_rows(figures.rows() | timings(saved.tags, image, TIMED))
    card = CARD.format(
        name=folder.name,
        parameters=million_parameters(saved.model),
        side=saved.processor.size["height"],
        made=made,
        classes=len(CLASSES),
        count=figures.scenes,
        rows=rows,
        mistakes=most_frequent(figures.mistakes),
    )
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
