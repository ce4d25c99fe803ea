"""How well /v1/analyze ranks drawn pictures by quality and composition, and how often it reads drawn faces right."""

import base64
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image
from scipy.stats import spearmanr

from testbed.accuracy.outcomes import Outcome, png
from training.emotion.evaluation import drawn_faces
from training.quality.evaluation import composed_scenes, degraded_scenes

OFF = {f"run_{name}": False for name in ("blur", "quality", "emotion", "embedding")}


@dataclass
class Ranking:
    """Scores beside the values that they should follow.

    Attributes:
        sign: 1 for a score that should rise with the true value, -1 for one that should fall.
    """

    sign: int
    truth: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, truth: float, score: float) -> None:
        """Count one picture."""
        self.truth.append(truth)
        self.scores.append(self.sign * score)

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation, -1 to 1: 1 when the scores order the pictures exactly as the true values do."""
        return float(spearmanr(self.truth, self.scores).statistic)

    def __str__(self) -> str:
        return f"{self.correlation:.3f} ({len(self.truth)} pictures)"


@dataclass
class FaceOutcome:
    """Drawn faces that were sent.

    Attributes:
        found: how many of them the face detector found.
        read: the emotions of those that it found.
    """

    total: int = 0
    found: int = 0
    read: Outcome = field(default_factory=Outcome)

    def __str__(self) -> str:
        return f"{self.read} of the {self.found / self.total:.1%} of {self.total} faces that were found"


def analyze(api: httpx.Client, image: Image.Image, analyzer: str) -> dict[str, Any]:
    """The result of /v1/analyze with this analyser alone.

    Raises:
        RuntimeError: the analyser reported an error.
    """
    body = {"image": {"data": base64.b64encode(png(image)).decode()}, **OFF, f"run_{analyzer}": True}
    result: dict[str, Any] = api.post("/v1/analyze", json=body).raise_for_status().json()["result"]
    if result["error"]:
        raise RuntimeError(result["error"])
    return result


def ask_quality(api: httpx.Client, count: int, seed: int) -> dict[str, Ranking]:
    """BRISQUE and the technical NIMA against the severity of the distortion.

    Returns:
        Rankings by measure and kind of distortion, e.g. "BRISQUE, blur", and over "every kind of distortion".
    """
    rankings: dict[str, Ranking] = {}
    for scene in degraded_scenes(count, seed):
        quality = analyze(api, scene.image, "quality")["quality"]
        for kind in ("every kind of distortion", scene.kind):
            for name, sign, score in (("BRISQUE", 1, "brisque_score"), ("NIMA technical", -1, "nima_technical_score")):
                ranking = rankings.setdefault(f"{name}, {kind}", Ranking(sign))
                ranking.add(scene.severity, quality[score])
    return rankings


def ask_aesthetics(api: httpx.Client, count: int, seed: int) -> Ranking:
    """The aesthetic NIMA against the score of the drawn composition."""
    ranking = Ranking(1)
    for scene in composed_scenes(count, seed):
        ranking.add(scene.score, analyze(api, scene.image, "quality")["aesthetic"]["nima_aesthetic_score"])
    return ranking


def ask_emotions(api: httpx.Client, count: int, seed: int) -> FaceOutcome:
    """Drawn faces through the face detector and the emotion network; of several faces the widest counts."""
    outcome = FaceOutcome()
    for face in drawn_faces(count, seed):
        outcome.total += 1
        if emotion := analyze(api, face.image, "emotion")["emotion"]:
            outcome.found += 1
            largest = max(emotion["faces"], key=lambda one: one["region"]["w"])
            outcome.read.add(face.emotion, largest["dominant_emotion"])
    return outcome
