"""Measures the bundled quality measures as they are served, and writes their cards."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.cards import table_rows
from training.drawing.distortions import KINDS
from training.quality import brisque, nima
from training.quality.evaluation import composed_scenes, degraded_scenes

MEASURED = 300  # scenes for each figure
Score = Callable[[Image.Image], float]

BRISQUE = """# {name}

Support vectors for pyiqa's BRISQUE (Mittal et al. 2012), so that the server answers on a machine with no other weights.
The features, the kernel and the constants are pyiqa's; the regression was fitted by this project, on scenes it draws
itself (`training/quality/scenes.py`) and then spoils (`training/drawing/distortions.py`), and on nothing else. **It
ranks those scenes; it is not the BRISQUE of the literature**, which learnt from what people said of photographs.

A score is 100 × the severity of the distortion: about 0 for a clean scene, about 100 for the worst, lower is better.
A picture unlike all of them, such as a photograph, can score up to 154 however good it is.
"""

TECHNICAL = """# {name}

A small NIMA as pyiqa defines it (MobileNetV3 small 0.5, one output, half precision), so that the server answers on a
machine with no other weights. Trained by this project on scenes it draws itself (`training/quality/scenes.py`) and then
spoils (`training/drawing/distortions.py`), and on nothing else. **It grades those scenes; nobody was asked what looks
good.**

Its output is 1 - severity: about 1 for a clean scene, about 0 for the worst. It sees the centre square of a picture at
224 pixels: in a picture of more than about 500 pixels a side it misses what shows only at full size, and pictures far
larger or smaller than those of the training (shorter side 240–319 pixels) are graded too well or too badly.
"""

AESTHETIC = """# {name}

A small NIMA as pyiqa defines it (MobileNetV3 small 0.5, a distribution over the scores 1–10, half precision), so that
the server answers on a machine with no other weights. Trained by this project on compositions it draws itself, whose
score is a stated formula (`training/drawing/families/composition.py`: the subject's place, whether the frame cuts it,
the horizon, harmony of hues, clutter, contrast), and on nothing else. **It knows that formula and no taste**: its score
says nothing about any other picture. It sees only the centre square of a picture.

The target of the training is a Gaussian of deviation 1 around the score; the served figure is the mean, 1–10.
"""

GRADES = """
Made by {made}: {scenes} scenes, {pictures} grades of them.

Distortions, each from 0 to 1: loss of contrast (down to a tenth), Gaussian blur (up to 4 pixels' deviation), noise (up
to 50 levels), JPEG (quality 100 down to 4), and mixtures of two.
"""

FORMULA = """
Made by {made}: {compositions} compositions.
"""

FIGURES = """
On {count} fresh pictures, drawn from seeds that training cannot reach ({correlated}):

| pictures | Spearman's rank correlation |
|---|---|
{rows}
"""


def ranked(pairs: Iterable[tuple[float, float]]) -> float:
    """Spearman's rank correlation of pairs, -1 to 1."""
    first, second = (np.argsort(np.argsort(values)) for values in zip(*pairs, strict=True))
    return float(np.corrcoef(first, second).item(0, 1))


def correlations(scores: Mapping[str, Score], count: int, seed: int) -> dict[str, dict[str, float]]:
    """How well measures of degraded scenes rank their severities: over all kinds of distortion, and for each kind.

    Args:
        scores: the measures by name.

    Returns:
        For each measure the rank correlations (-1 to 1) by kind of distortion, and over all of them as "all".
    """
    scenes = [(kind, severity, [score(image) for score in scores.values()])
              for image, kind, severity in degraded_scenes(count, seed)]  # fmt: skip
    figures = {}
    for column, name in enumerate(scores):
        figures[name] = {
            kind: ranked((values[column], severity) for other, severity, values in scenes if kind in (other, "all"))
            for kind in ("all", *KINDS)
        }
    return figures


def scorer(network: torch.nn.Module) -> Score:
    """A pyiqa network as a function of an RGB image."""

    @torch.inference_mode()
    def score(image: Image.Image) -> float:
        pixels = torch.from_numpy(np.array(image, np.float32) / 255)
        return float(network(pixels.permute(2, 0, 1)[None]))

    return score


def measure(folders: Mapping[str, Path], count: int, seed: int) -> dict[str, dict[str, float]]:
    """Rank correlations (-1 to 1) of the saved measures with what was drawn, as `correlations` gives them.

    The technical score should follow 1 - severity: its sign is turned, so that 1 is best for all three.

    Args:
        folders: of `brisque`, `technical` and `aesthetic`.
    """
    technical, aesthetic = (scorer(nima.load(folders[name])) for name in ("technical", "aesthetic"))
    compositions = [(aesthetic(image), score) for image, score in composed_scenes(count, seed)]
    degraded = {"brisque": scorer(brisque.load(folders["brisque"])), "technical": lambda image: -technical(image)}
    return {**correlations(degraded, count, seed), "aesthetic": {"all": ranked(compositions)}}


def write_cards(folders: Mapping[str, Path], made: str, counts: Mapping[str, int], seed: int) -> str:
    """Measure the weights in the three folders and write their MODEL_CARD.md; returns the figures as text.

    Args:
        folders: as for `measure`.
        made: the command that made them, in Markdown.
        counts: how many `scenes`, `pictures` and `compositions` it drew.
        seed: of the evaluation scenes.
    """
    lines = []
    texts = {
        "brisque": (BRISQUE + GRADES, "the score with the severity"),
        "technical": (TECHNICAL + GRADES, "the score with 1 - severity"),
        "aesthetic": (AESTHETIC + FORMULA, "the score with the formula's"),
    }
    for name, figures in measure(folders, MEASURED, seed).items():
        rows = table_rows({kind: f"{value:.3f}" for kind, value in figures.items()})
        text, correlated = texts[name]
        card = text.format(name=folders[name].name, made=made, **counts)
        card += FIGURES.format(count=MEASURED, correlated=correlated, rows=rows)
        (folders[name] / "MODEL_CARD.md").write_text(card)
        lines += [name, rows]
    return "\n".join(lines)
