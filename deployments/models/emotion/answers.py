"""The answer of Emotion. The ingress and the jobs import it without DeepFace."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """A face.

    Attributes:
        scores: by emotion; they sum to 100.
        confidence: of the face detector, 0–1.
        region: x, y, w, h in pixels.
    """

    dominant_emotion: str
    scores: dict[str, float]
    confidence: float
    region: dict[str, int]
