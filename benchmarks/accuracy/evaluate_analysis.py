"""How well the bundled photo analysis ranks what training never saw, and reads drawn faces: over HTTP, image by image.

Rank correlations are Spearman's: 1 where the scores order the pictures as their severity or composition does.
"""

import base64
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image
from scipy.stats import spearmanr

from testbed.outcomes import Outcome, png
from training.quality.evaluation import composed_scenes, degraded_scenes, drawn_faces

OFF = {f"run_{name}": False for name in ("blur", "quality", "emotion", "embedding")}


@dataclass
class Ranking:
    """Scores beside what they should follow; `sign` is −1 for a score that is better when lower."""

    sign: int
    truth: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, truth: float, score: float) -> None:
        self.truth.append(truth)
        self.scores.append(self.sign * score)

    @property
    def correlation(self) -> float:
        return float(spearmanr(self.truth, self.scores).statistic)

    def __str__(self) -> str:
        return f"{self.correlation:.3f} ({len(self.truth)} pictures)"


@dataclass
class FaceOutcome:
    """`found`: drawn faces that the detector found; `read`: their emotions."""

    total: int = 0
    found: int = 0
    read: Outcome = field(default_factory=Outcome)

    def __str__(self) -> str:
        return f"{self.read} of the {self.found / self.total:.1%} of {self.total} faces that were found"


def analyze(api: httpx.Client, image: Image.Image, analyzer: str) -> dict[str, Any]:
    """The result of /v1/analyze by one analyser."""
    body = {"image": {"data": base64.b64encode(png(image)).decode()}, **OFF, f"run_{analyzer}": True}
    result: dict[str, Any] = api.post("/v1/analyze", json=body).raise_for_status().json()["result"]
    if result["error"]:
        raise RuntimeError(result["error"])
    return result


def ask_quality(api: httpx.Client, count: int, seed: int) -> dict[str, Ranking]:
    """Severity against BRISQUE and the technical NIMA: over all pictures, and by kind of distortion."""
    rankings: dict[str, Ranking] = {}
    for scene in degraded_scenes(count, seed):
        quality = analyze(api, scene.image, "quality")["quality"]
        for kind in ("every kind of distortion", scene.kind):
            for name, sign, score in (("BRISQUE", 1, "brisque_score"), ("NIMA technical", -1, "nima_technical_score")):
                ranking = rankings.setdefault(f"{name}, {kind}", Ranking(sign))
                ranking.add(scene.severity, quality[score])
    return rankings


def ask_aesthetics(api: httpx.Client, count: int, seed: int) -> Ranking:
    """The drawn notion of composition against the aesthetic NIMA."""
    ranking = Ranking(1)
    for scene in composed_scenes(count, seed):
        ranking.add(scene.score, analyze(api, scene.image, "quality")["aesthetic"]["nima_aesthetic_score"])
    return ranking


def ask_emotions(api: httpx.Client, count: int, seed: int) -> FaceOutcome:
    """Drawn faces through the detector and the emotion network."""
    outcome = FaceOutcome()
    for face in drawn_faces(count, seed):
        outcome.total += 1
        if emotion := analyze(api, face.image, "emotion")["emotion"]:
            outcome.found += 1
            largest = max(emotion["faces"], key=lambda one: one["region"]["w"])
            outcome.read.add(face.emotion, largest["dominant_emotion"])
    return outcome


def lines(api: httpx.Client, count: int, seed: int) -> list[str]:
    """The figures as the rows of a Markdown table."""
    rankings = ask_quality(api, count, seed)
    ordered: dict[str, list[str]] = defaultdict(list)
    for name, ranking in rankings.items():
        ordered[name.partition(",")[0]].append(f"| {name} | {ranking} |")
    return [
        "| what | rank correlation |",
        "|---|---|",
        *(row for rows in ordered.values() for row in rows),
        f"| NIMA aesthetic, drawn notion of composition | {ask_aesthetics(api, count // 2, seed)} |",
        "",
        "| what | right |",
        "|---|---|",
        f"| emotion of drawn faces | {ask_emotions(api, count, seed)} |",
    ]
