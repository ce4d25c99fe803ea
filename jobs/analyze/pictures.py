"""Makes the inputs of all models from one file."""

import hashlib
from dataclasses import dataclass, field

from deployments.pictures.decoding import decode_picture
from deployments.pictures.formats import BY_PILLOW
from deployments.pictures.inputs import Fitted, PictureInput, shortest_side
from deployments.pictures.pixels import Pixels
from deployments.specs import analyses
from jobs.analyze.analyses import Values

CLIP = "Clip"


@dataclass(frozen=True)
class AnalysisInputs:
    """Which analyses look at a picture, and the limits of a file. `clip_size` is the side of CLIP's input."""

    analyses: tuple[str, ...]
    clip_size: int
    max_pixels: int
    max_bytes: int

    @property
    def clip(self) -> tuple[str, ...]:
        """The analyses of CLIP, which answers all of them in one call."""
        return tuple(name for name in self.analyses if analyses()[name][1].name == CLIP)

    @property
    def others(self) -> dict[str, PictureInput]:
        """The inputs of the other models, by analysis."""
        found = {name: analyses()[name][1] for name in self.analyses if name not in self.clip}
        return {name: spec.takes(()) for name, spec in found.items()}

    @property
    def shortest_side(self) -> int | None:
        """The shorter side in pixels down to which a JPEG may be decoded; None when a model needs every pixel."""
        fitted = [Fitted(self.clip_size)] if self.clip else []
        return shortest_side([*fitted, *self.others.values()])


@dataclass(frozen=True)
class Ready:
    """A picture as the models get it: `clip` (size, size, 3), `others` by analysis (h, w, 3), all uint8 RGB."""

    file: Values
    clip: Pixels | None = None
    others: dict[str, Pixels] = field(default_factory=dict)


def describe(data: bytes) -> Values:
    """The columns of a file that need no decoding."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def prepare(data: bytes, wanted: AnalysisInputs) -> Ready:
    """Decode a file once, a JPEG no larger than needed; PictureRefused when it cannot be decoded."""
    picture = decode_picture(data, wanted.max_pixels, wanted.shortest_side)
    width, height = picture.size
    # Models with the same input share one array.
    inputs = {one: one.of(picture.image) for one in set(wanted.others.values())}
    return Ready(
        {**describe(data), "width": width, "height": height, "format": BY_PILLOW[picture.format].name},
        Fitted(wanted.clip_size).of(picture.image) if wanted.clip else None,
        {name: inputs[one] for name, one in wanted.others.items()},
    )
