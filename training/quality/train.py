"""The bundled quality measures: `python -m training quality` makes BRISQUE and both NIMAs.

Ray tasks draw scenes and spoil each several times; BRISQUE's regression and the technical NIMA learn the severity. The
aesthetic NIMA learns the score of drawn compositions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.project import BUNDLED
from training.budget import Budget
from training.cards import command
from training.cores import on_every_core
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
TECHNICAL_CROP = 160  # any part shows the technical quality, and a smaller part is learnt from twice as fast
Features = NDArray[np.float32]


def draw_degraded(seed: int, first: int, count: int) -> tuple[Graded, Features]:
    """Draw `count` scenes, each spoilt GRADES_A_SCENE times.

    Returns:
        The n spoilt pictures as NIMA takes them, graded 1 - severity, and their BRISQUE features (n, 36).
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
    """Draw `count` compositions, graded by their scores, 1–10."""
    scenes = [composed(generator(Split.TRAINING, seed, index)) for index in range(first, first + count)]
    pixels = np.stack([nima.seen(scene.image) for scene in scenes])
    return Graded(pixels, np.array([scene.score for scene in scenes], np.float32))


def together(parts: Sequence[Graded]) -> Graded:
    """Several pools as one."""
    return Graded(np.concatenate([part.pixels for part in parts]), np.concatenate([part.grades for part in parts]))


def with_features(parts: Sequence[tuple[Graded, Features]]) -> tuple[Graded, Features]:
    """Several pools with BRISQUE features as one."""
    return together([part for part, _ in parts]), np.concatenate([features for _, features in parts])


def run(folder: Path, minutes: float, seed: int) -> None:
    """Draw, train, save, measure what was saved, and write the three cards; `folder` holds the three FOLDERS."""
    budget = Budget(minutes)
    scenes, compositions = round(SCENES_PER_MINUTE * minutes), round(COMPOSITIONS_PER_MINUTE * minutes)
    spoilt, seen = on_every_core(draw_degraded, with_features, seed, scenes, SCENES_PER_TASK)
    pictures = on_every_core(draw_composed, together, seed, compositions, COMPOSITIONS_PER_TASK)
    budget.report(f"{len(spoilt.pixels)} spoilt pictures and {len(pictures.pixels)} compositions drawn")
    coefficients, vectors = brisque.fit(seen, 1 - spoilt.grades, seed)
    brisque.save(coefficients, vectors, folder / FOLDERS["brisque"])
    left = budget.left()
    technical = nima.train(spoilt, 1, seed, 0.45 * left, TECHNICAL_CROP)
    nima.save(technical, 1, folder / FOLDERS["technical"])
    aesthetic = nima.train(pictures, nima.SCORES, seed, 0.55 * left)
    nima.save(aesthetic, nima.SCORES, folder / FOLDERS["aesthetic"])
    counts = {"scenes": scenes, "pictures": len(spoilt.pixels), "compositions": len(pictures.pixels)}
    folders = {name: folder / FOLDERS[name] for name in FOLDERS}
    print(write_cards(folders, command("quality", minutes, seed), counts, seed))
