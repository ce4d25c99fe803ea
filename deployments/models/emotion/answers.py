"""What Emotion answers. The ingress and the jobs read this without DeepFace."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """A face: `scores` by emotion sum to 100, `confidence` is the detector's, 0–1, `region` is x, y, w, h in pixels."""

    dominant_emotion: str
    scores: dict[str, float]
    confidence: float
    region: dict[str, int]
