"""The bundled photo analysis: `python -m training quality` makes BRISQUE and both NIMAs.

Ray tasks draw scenes and spoil each several times; BRISQUE's regression and the technical NIMA learn the severity. The
aesthetic NIMA learns the score of drawn compositions.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.project import BUNDLED
from training.cores import left_for_training, on_every_core
from training.drawing.families.composition import composed
from training.quality import brisque, nima
from training.quality.card import write_cards
from training.quality.nima import Graded
from training.quality.scenes import degraded, pristine
from training.scenes import Split, generator

OUTPUT = BUNDLED
FOLDERS = {
    "brisque": "brisque-scenes-v1", "technical": "nima-technical-scenes-v1", "aesthetic": "nima-aesthetic-scenes-v1",
}  # fmt: skip
SCENES_PER_MINUTE = 60
GRADES_A_SCENE = 4
COMPOSITIONS_PER_MINUTE = 400
SCENES_PER_TASK, COMPOSITIONS_PER_TASK = 25, 250
TECHNICAL_CROP = 160  # quality shows in any part, and a smaller one is seen twice as fast
Features = NDArray[np.float32]


def draw_degraded(seed: int, first: int, count: int) -> tuple[Graded, Features]:
    """Draw `count` scenes, each spoilt GRADES_A_SCENE times.

    Returns:
        What NIMA sees of them, graded 1 - severity, and BRISQUE's features (n, 36).
    """
    pixels, grades, seen = [], [], []
    for index in range(first, first + count):
        rng = generator(Split.TRAINING, seed, index)
        scene = pristine(rng)
        for _ in range(GRADES_A_SCENE):
            picture = degraded(rng, scene=scene)
            pixels.append(nima.seen(picture.image))
            grades.append(1 - picture.severity)
            seen.append(brisque.features(picture.image))
    return Graded(np.stack(pixels), np.array(grades, np.float32)), np.stack(seen)


def draw_composed(seed: int, first: int, count: int) -> Graded:
    """Draw `count` compositions; the grade is the score, 1–10."""
    scenes = [composed(generator(Split.TRAINING, seed, index)) for index in range(first, first + count)]
    pixels = np.stack([nima.seen(scene.image) for scene in scenes])
    return Graded(pixels, np.array([scene.score for scene in scenes], np.float32))


def together(parts: Sequence[Graded]) -> Graded:
    """Several pools as one."""
    return Graded(np.concatenate([part.pixels for part in parts]), np.concatenate([part.grades for part in parts]))


def with_features(parts: Sequence[tuple[Graded, Features]]) -> tuple[Graded, Features]:
    """The same of pools with BRISQUE's features."""
    return together([part for part, _ in parts]), np.concatenate([features for _, features in parts])


def run(output: Path | None, minutes: float, seed: int) -> None:
    """Draw, train, save, measure what was saved, and write its cards.

    Args:
        output: the folder of the three folders; the bundled one when None.
        minutes: time for drawing and training together.
        seed: of the scenes and of the training.
    """
    start, folder = time.monotonic(), output or OUTPUT
    scenes, compositions = round(SCENES_PER_MINUTE * minutes), round(COMPOSITIONS_PER_MINUTE * minutes)
    spoilt, seen = on_every_core(draw_degraded, with_features, seed, scenes, SCENES_PER_TASK)
    pictures = on_every_core(draw_composed, together, seed, compositions, COMPOSITIONS_PER_TASK)
    print(f"{time.monotonic() - start:5.0f} s  {len(spoilt.pixels)} + {len(pictures.pixels)} drawn", flush=True)
    coefficients, vectors = brisque.fit(seen, 1 - spoilt.grades, seed)
    brisque.save(coefficients, vectors, folder / FOLDERS["brisque"])
    left = left_for_training(start, minutes)
    technical = nima.train(spoilt, 1, seed, 0.45 * left, TECHNICAL_CROP)
    nima.save(technical, 1, folder / FOLDERS["technical"])
    aesthetic = nima.train(pictures, nima.SCORES, seed, 0.55 * left)
    nima.save(aesthetic, nima.SCORES, folder / FOLDERS["aesthetic"])
    made = f"`python -m training quality --minutes {minutes:g} --seed {seed}`"
    counts = {"scenes": scenes, "pictures": len(spoilt.pixels), "compositions": len(pictures.pixels)}
    print(write_cards({name: folder / FOLDERS[name] for name in FOLDERS}, made, counts, seed))
