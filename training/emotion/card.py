"""Measures the bundled emotion network through DeepFace, and writes its card."""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from training.cards import most_frequent, table_rows
from training.emotion.crops import bgr, deepface_modules, drawn_square
from training.emotion.evaluation import drawn_faces
from training.emotion.network import WEIGHTS

MEASURED = 420  # faces

CARD = """# {name}

A small network for DeepFace's emotion attribute (four convolutions, 48 × 48 grey pixels, ONNX), so that the server
answers on a machine with no other weights. Trained by this project on faces it draws itself
(`training/drawing/faces.py`), whose brows, eyes and mouths follow the textbook (FACS), and on nothing else. **It reads
those drawings. It has never seen a person, and what it says of one means nothing**; besides, no network knows what
somebody feels.

Made by {made}: {faces} faces, each cut out as DeepFace's OpenCV detector finds it, and twice by a square around it.

On {count} fresh faces, drawn from seeds that training cannot reach, through `DeepFace.analyze`:

| what | share |
|---|---|
{rows}

Mistakes: {mistakes}.
"""


@dataclass
class EmotionAccuracy:
    """What the network got right.

    Attributes:
        faces: how many it was asked about.
        found: how many of them DeepFace's detector found.
        right: right emotions of those found.
        right_without: right emotions of all faces, cut out as they were drawn, without the detector.
        mistakes: how often each emotion of those found was taken for each other one.
    """

    faces: int = 0
    found: int = 0
    right: int = 0
    right_without: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)

    def rows(self) -> dict[str, float]:
        """The figures of the card, 0–1."""
        return {
            "faces that the OpenCV detector finds": self.found / self.faces,
            "right emotions of those": self.right / max(1, self.found),
            'right emotions of the drawn crops (detector "skip")': self.right_without / self.faces,
        }


def measure(folder: Path, seed: int, count: int) -> EmotionAccuracy:
    """Ask DeepFace, with the weights of a folder, about `count` faces that training has not seen."""
    figures = EmotionAccuracy()
    with tempfile.TemporaryDirectory() as home:
        weights = Path(home, ".deepface", "weights")
        weights.mkdir(parents=True)
        shutil.copy(folder / WEIGHTS, weights)
        deepface_modules()
        # DeepFace reads this when it loads the network, which it does once in a process
        before, os.environ["DEEPFACE_HOME"] = os.environ["DEEPFACE_HOME"], home
        for face in drawn_faces(count, seed):
            figures.faces += 1
            answers = [one for one in _ask(bgr(face), "opencv") if one["face_confidence"] > 0]
            if answers:
                answer = max(answers, key=lambda one: one["region"]["w"])["dominant_emotion"]
                figures.found += 1
                figures.right += answer == face.emotion
                if answer != face.emotion:
                    figures.mistakes[f"{face.emotion} taken for {answer}"] += 1
            figures.right_without += _ask(drawn_square(face), "skip")[0]["dominant_emotion"] == face.emotion
        os.environ["DEEPFACE_HOME"] = before
    return figures


def _ask(pixels: NDArray[Any], detector: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = deepface_modules().demography.analyze(
        pixels, actions=("emotion",), detector_backend=detector, enforce_detection=False, silent=True
    )
    return answers


def write_card(folder: Path, made: str, faces: int, seed: int) -> str:
    """Measure the weights in a folder and write their MODEL_CARD.md; returns its rows of figures.

    Args:
        made: the command that made them, in Markdown.
        faces: how many faces it drew.
        seed: of the evaluation faces.
    """
    figures = measure(folder, seed, MEASURED)
    rows = table_rows({name: f"{100 * value:.1f} %" for name, value in figures.rows().items()})
    mistakes = most_frequent(figures.mistakes)
    card = CARD.format(name=folder.name, made=made, faces=faces, count=figures.faces, rows=rows, mistakes=mistakes)
    (folder / "MODEL_CARD.md").write_text(card)
    return rows
