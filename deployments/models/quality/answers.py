"""The answer of Quality. The ingress and the jobs import it without pyiqa."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityMeasures:
    """The three measures of a picture.

    Attributes:
        brisque: about 0–150, lower is better; None where the picture is too small or has no texture.
        technical: 1–10, higher is better.
        aesthetic: 1–10, higher is better.
    """

    brisque: float | None
    technical: float
    aesthetic: float
