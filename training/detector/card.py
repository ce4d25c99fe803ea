"""Measures the bundled detector as it is served, through Florence-2's own processor, and writes its card."""

import textwrap
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoProcessor, Florence2ForConditionalGeneration

from training.cards import milliseconds, table_rows
from training.detector.accuracy import DetectorAccuracy, Found
from training.detector.model import TASK
from training.drawing.families.arrangement import NAMES
from training.scenes import fresh_arrangements

MEASURED = 500  # scenes
AT_ONCE = 8  # pictures in a call
TIMED = 12  # calls

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


def measure(detector: Detector, seed: int, count: int) -> DetectorAccuracy:
    """Ask a detector about `count` scenes that training has not seen."""
    figures, drawn = DetectorAccuracy(), fresh_arrangements(count, seed)
    while scenes := list(islice(drawn, AT_ONCE)):
        for scene, found in zip(scenes, detector.found([scene.image for scene in scenes]), strict=True):
            figures.add(scene.things, found)
    return figures


def write_card(folder: Path, made: str, scenes: int, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its rows of figures.

    Args:
        made: the command that made them, in Markdown.
        scenes: how many scenes it arranged.
        seed: of the evaluation scenes.
    """
    detector = Detector(folder)
    figures = measure(detector, seed, MEASURED)
    images = [scene.image for scene in fresh_arrangements(AT_ONCE, seed)]
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name != "MODEL_CARD.md")
    rows = table_rows(
        {
            **figures.rows(),
            "size": f"{size / 1e6:.1f} MB",
            "one picture": f"{milliseconds(partial(detector.found, images[:1]), TIMED):.0f} ms",
            f"{AT_ONCE} pictures at once": f"{milliseconds(partial(detector.found, images), TIMED):.0f} ms",
        }
    )
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
