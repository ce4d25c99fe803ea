"""The answer of Blur. The ingress and the jobs import it without OpenCV."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BlurMeasures:
    """Variances of the Laplacian of grey values 0–255: of the picture itself, and at a long side of 512 pixels."""

    variance: float
    normalized_variance: float
