"""What Quality answers. The ingress and the jobs read this without pyiqa."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityMeasures:
    """`brisque`: about 0–150, lower is better, None where the picture has no texture to judge; the others 1–10."""

    brisque: float | None
    technical: float
    aesthetic: float
