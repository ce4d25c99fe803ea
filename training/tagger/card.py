"""Measures the bundled tagger as transformers loads it, and writes its card."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from training.drawing.wording import class_of
from training.scenes import KINDS, Scene, Split, draw_scene, generator

MEASURED = 960  # scenes
BATCHES = (1, 8)
SEVERAL = "drawing/several"  # shows what another class shows

CARD = """# {name}

A small image classifier for transformers (ResNet, {parameters:.2f} M parameters, {side} × {side} px, half precision),
so that the server tags pictures on a machine with no other weights. Trained on scenes that this project draws itself
(`training/scenes.py`) and on nothing else: **it knows those drawings. What it says of a real photograph means
nothing.**

Made by {made}.

Every class came up as often. The five styles of street maps are one class, and drawings of several
things are in none; each other kind of scene is a class: {classes} of them. Pictures are squeezed to {side} × {side} px
(bilinear), pixels scaled to -1 to 1. Its configuration asks for float32, which is what CPUs are fast at.

On {count} fresh scenes, the classes in turn, drawn from seeds that training cannot reach:

| what | figure |
|---|---|
{rows}

Most frequent mistakes: {mistakes}.
"""


def _kinds_by_class() -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind != SEVERAL:
            classes.setdefault(class_of(kind), []).append(kind)
    return classes


KINDS_OF = _kinds_by_class()
CLASSES = tuple(KINDS_OF)


def scene_in_turn(split: Split, seed: int, index: int) -> Scene:
    """The scene of this index: the classes in turn, and the kinds of each in turn."""
    kinds = KINDS_OF[CLASSES[index % len(CLASSES)]]
    return draw_scene(generator(split, seed, index), kinds[index // len(CLASSES) % len(kinds)])


def fresh_scenes(count: int, seed: int) -> Iterator[Scene]:
    """Scenes that training has not seen."""
    for index in range(count):
        yield scene_in_turn(Split.EVALUATION, seed, index)


class Saved:
    """The tagger as it is served: processor and model read back from their folder."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        self.model = AutoModelForImageClassification.from_pretrained(folder).eval()

    @torch.inference_mode()
    def tags(self, images: Sequence[Image.Image], best: int = 5) -> list[list[str]]:
        """The most likely classes of each image, best first."""
        logits = self.model(**self.processor(list(images), return_tensors="pt")).logits
        return [[self.model.config.id2label[int(index)] for index in row] for row in logits.topk(best).indices]

    def milliseconds(self, image: Image.Image, batch: int) -> float:
        """An image's share of the time that a batch takes, the least of several."""
        times = []
        for _ in range(10):
            start = time.perf_counter()
            self.tags([image] * batch)
            times.append(time.perf_counter() - start)
        return 1000 * min(times) / batch


@dataclass
class TaggerAccuracy:
    """Scenes, and how many have their class as the first tag and among the first five."""

    scenes: int = 0
    right: int = 0
    among: int = 0
    of_class: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[str] = field(default_factory=Counter)

    def rows(self) -> dict[str, str]:
        """The lines of the card."""
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
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its table of figures.

    Args:
        made: the command that made them, and what it drew.
        seed: of the evaluation scenes.
    """
    saved = Saved(folder)
    figures, image = measure(saved, seed, MEASURED), next(fresh_scenes(1, seed)).image
    lines = figures.rows()
    for batch in BATCHES:
        what = f"CPU, an image in a batch of {batch}, {torch.get_num_threads()} threads"
        lines[what] = f"{saved.milliseconds(image, batch):.1f} ms"
    rows = "\n".join(f"| {name} | {value} |" for name, value in lines.items())
    card = CARD.format(
        name=folder.name,
        parameters=sum(parameter.numel() for parameter in saved.model.parameters()) / 1e6,
        side=saved.processor.size["height"],
        made=made,
        classes=len(CLASSES),
        count=figures.scenes,
        rows=rows,
        mistakes=", ".join(f"{mistake} ({times})" for mistake, times in figures.mistakes.most_common(5)) or "none",
    )
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
