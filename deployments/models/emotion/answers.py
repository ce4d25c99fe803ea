"""The answer of Emotion. The ingress and the jobs import it without DeepFace."""

from dataclasses import dataclass, replace
from typing import Self


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

    def scaled(self, factor: float) -> Self:
        """The same face in a picture `factor` times as large."""
        return replace(self, region={side: round(pixels * factor) for side, pixels in self.region.items()})
