"""What the analysers say of a picture: what travels from their replicas to the ingress, without their libraries."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BlurFigures:
    """Variances of the Laplacian of grey values 0–255: of the picture itself, and at a long side of 512 pixels."""

    variance: float
    normalized_variance: float


@dataclass(frozen=True)
class QualityFigures:
    """`brisque`: about 0–150, lower is better, None where the picture has no texture to judge; the others 1–10."""

    brisque: float | None
    technical: float
    aesthetic: float


@dataclass(frozen=True)
class Face:
    """A face: `scores` by emotion sum to 100, `confidence` is the detector's, 0–1, `region` is x, y, w, h in pixels."""

    dominant_emotion: str
    scores: dict[str, float]
    confidence: float
    region: dict[str, int]
