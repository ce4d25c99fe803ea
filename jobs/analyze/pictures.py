"""From a file to what each model is given, off the event loop, and never more whole pictures at a time than fit."""

import hashlib
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from deployments.pictures.decoding import decode_with_size, reduced
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from jobs.analyze.analyses import ANALYSES, Values

CLIP = ("embedding", "classification")


@dataclass(frozen=True)
class AnalysisInputs:
    """Which analyses look at a picture, and the limits of a file. `clip_size` is the side of CLIP's input."""

    analyses: tuple[str, ...]
    clip_size: int
    max_pixels: int
    max_bytes: int

    @property
    def clip(self) -> bool:
        """Whether CLIP looks at it."""
        return any(name in CLIP for name in self.analyses)

    @property
    def others(self) -> list[str]:
        """The analyses that are given a picture of their own."""
        return [name for name in self.analyses if name not in CLIP]

    @property
    def shortest_side(self) -> int | None:
        """What a JPEG's shorter side may be decoded down to; None when somebody wants it whole."""
        least = [ANALYSES[name].least for name in self.others]
        if None in least:
            return None
        return max([self.clip_size if self.clip else 1, *(side // 2 for side in least if side)])


@dataclass(frozen=True)
class Ready:
    """A picture as the models get it: `clip` (size, size, 3), `others` by analysis (h, w, 3), all uint8 RGB."""

    file: Values
    clip: Pixels | None = None
    others: dict[str, Pixels] = field(default_factory=dict)


def describe(data: bytes) -> Values:
    """The columns of a file that need no picture."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def prepare(data: bytes, wanted: AnalysisInputs) -> Ready:
    """Decode a file once, a JPEG at no more than it needs; PictureRefused for one that cannot be."""
    image, (width, height) = decode_with_size(data, wanted.max_pixels, wanted.shortest_side)
    whole = np.asarray(image, dtype=np.uint8) if wanted.shortest_side is None else None
    return Ready(
        {**describe(data), "width": width, "height": height, "format": _format(data)},
        fit(image, wanted.clip_size) if wanted.clip else None,
        {name: _input(image, whole, name) for name in wanted.others},
    )


def _input(image: Image.Image, whole: Pixels | None, analysis: str) -> Pixels:
    least = ANALYSES[analysis].least
    if least is None:
        assert whole is not None  # noqa: S101 - `shortest_side` asked
        return whole
    return reduced(image, least, crop=analysis == "tags")


def _format(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return "JPEG" if image.format == "MPO" else str(image.format)
