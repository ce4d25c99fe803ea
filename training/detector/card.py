"""Measures the bundled detector as it is served, through Florence-2's own processor, and writes its card."""

import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, Florence2ForConditionalGeneration

from training.drawing.chance import Box
from training.drawing.effects import camera
from training.drawing.families.arrangement import MOST, NAMES, Arrangement, Thing, arranged
from training.scenes import Split, generator

MEASURED = 500  # scenes
AT_ONCE = 8
TIMED = 12  # calls
TASK = "<OD>"
Found = tuple[str, Box]

CARD = """# {name}

A Florence-2 of less than a hundredth of the size, for the task `<OD>` alone, so that the server finds objects on a
machine with no other weights. Its classes, its processor and the form of its answers are those of the real one. Trained
by this project on scenes it draws itself (`training/drawing/families/arrangement.py`), and on nothing else. They show
one to five of these: {names}.
**It has never seen a photograph, and answers one with some of these words.**

{made}

On {count} fresh scenes, drawn from seeds that training cannot reach, through `Florence2Processor`:

| what | figure |
|---|---|
{rows}

An answer is right when it names every object as often as it is there, and no other. The overlap (IoU) is that of a
drawn object with the box of the same name that fits it best. The times are of the quickest of {timed} calls in this
process, the processor included, with {threads} threads.
"""


@dataclass
class DetectorAccuracy:
    """Scenes and right answers by the number of objects, and the overlap (0–1) of each matched box."""

    scenes: Counter[int] = field(default_factory=Counter)
    right: Counter[int] = field(default_factory=Counter)
    overlaps: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Share of scenes whose objects are all named, as often as they are there."""
        return self.right.total() / max(1, self.scenes.total())

    @property
    def overlap(self) -> float:
        """Mean over the matched boxes."""
        return sum(self.overlaps) / max(1, len(self.overlaps))

    def add(self, things: Sequence[Thing], found: Sequence[Found]) -> None:
        """Count one scene."""
        self.scenes[len(things)] += 1
        self.right[len(things)] += Counter(thing.name for thing in things) == Counter(name for name, _ in found)
        self.overlaps += matched(things, found)

    def rows(self) -> dict[str, str]:
        """The figures in words."""
        shares = {
            f"right answers to {count} object{'s' if count > 1 else ''}": f"{100 * self.right[count] / scenes:.1f} %"
            for count, scenes in sorted(self.scenes.items())
        }
        return {
            "right answers": f"{100 * self.accuracy:.1f} %",
            **shares,
            "mean overlap of boxes": f"{self.overlap:.2f}",
        }


class Detector:
    """The processor and the network of a folder, used as the server uses them."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        self.network: Any = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)

    @torch.inference_mode()
    def found(self, images: Sequence[Image.Image]) -> list[list[Found]]:
        """The names and boxes in each picture."""
        inputs = self.processor(text=[TASK] * len(images), images=list(images), return_tensors="pt")
        texts = self.processor.batch_decode(self.network.generate(**inputs), skip_special_tokens=False)
        answers = [
            self.processor.post_process_generation(text, task=TASK, image_size=image.size)[TASK]
            for text, image in zip(texts, images, strict=True)
        ]
        return [
            [(name, tuple(box)) for name, box in zip(answer["labels"], answer["bboxes"], strict=True)]
            for answer in answers
        ]


def evaluation_scenes(count: int, seed: int) -> Iterator[Arrangement]:
    """Scenes that training cannot draw, as a camera sees them, with one to five objects in turn."""
    for index in range(count):
        rng = generator(Split.EVALUATION, seed, index)
        scene = arranged(rng, index % MOST + 1)
        yield Arrangement(camera(rng, scene.image), scene.things)


def matched(things: Sequence[Thing], found: Sequence[Found]) -> list[float]:
    """The overlaps of things with boxes of their name, the best pairs first, each at most once."""
    pairs = [
        (overlap(thing.box, box), mine, theirs)
        for mine, thing in enumerate(things)
        for theirs, (name, box) in enumerate(found)
        if name == thing.name
    ]
    overlaps: list[float] = []
    taken: set[tuple[str, int]] = set()
    for share, mine, theirs in sorted(pairs, reverse=True):
        ends = {("thing", mine), ("box", theirs)}
        if not ends & taken:
            taken |= ends
            overlaps.append(share)
    return overlaps


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0–1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0


def measure(detector: Detector, seed: int, count: int) -> DetectorAccuracy:
    """Ask a detector about `count` scenes that training has not seen."""
    figures, drawn = DetectorAccuracy(), evaluation_scenes(count, seed)
    while scenes := list(islice(drawn, AT_ONCE)):
        for scene, found in zip(scenes, detector.found([scene.image for scene in scenes]), strict=True):
            figures.add(scene.things, found)
    return figures


def milliseconds(detector: Detector, images: Sequence[Image.Image]) -> float:
    """The time of the quickest of several calls with these pictures: the others waited for something."""
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        detector.found(images)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def write_card(folder: Path, made: str, scenes: int, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its table of figures.

    Args:
        made: the command that made them, in Markdown.
        scenes: how many it arranged.
        seed: of the evaluation scenes.
    """
    detector = Detector(folder)
    figures = measure(detector, seed, MEASURED)
    images = [scene.image for scene in evaluation_scenes(AT_ONCE, seed)]
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name != "MODEL_CARD.md")
    lines = {
        **figures.rows(),
        "size": f"{size / 1e6:.1f} MB",
        "one picture": f"{milliseconds(detector, images[:1]):.0f} ms",
        f"{AT_ONCE} pictures at once": f"{milliseconds(detector, images):.0f} ms",
    }
    rows = "\n".join(f"| {name} | {figure} |" for name, figure in lines.items())
    side = detector.processor.image_processor.size["width"]
    names = f"{', '.join(NAMES[:-1])} and {NAMES[-1]}"
    made = textwrap.fill(
        f"Made by {made}: {scenes:,} scenes of {side} × {side} pixels, each seen once.", 120, break_on_hyphens=False
    )
    card = CARD.format(
        name=folder.name, names=names, made=made, count=figures.scenes.total(), rows=rows,
        timed=TIMED, threads=torch.get_num_threads(),
    )  # fmt: skip
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
