"""The kinds of input that a model takes of a picture: fitted to a square, reduced, or whole.

The ingress, the catalogue's worker and the jobs decode a picture once for several models and make each model's input
from it. A JPEG is decoded no larger than the largest input needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from deployments.pictures.decoding import reduced
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit


@dataclass(frozen=True)
class Fitted:
    """(size, size, 3): the shorter side scaled to `size` pixels and the centre cut out."""

    size: int

    @property
    def shortest_side(self) -> int:
        """The shorter side in pixels that the decoded picture must have."""
        return self.size

    def of(self, image: Image.Image) -> Pixels:
        """This input, from an RGB image."""
        return fit(image, self.size)


@dataclass(frozen=True)
class Reduced:
    """(h, w, 3): reduced by whole factors while no side gets shorter than `least` pixels.

    With `crop` both sides are reduced by the same factor, and a very long picture is cut to its middle: for a model
    that keeps the aspect ratio and crops the centre.
    """

    least: int
    crop: bool = False

    @property
    def shortest_side(self) -> int:
        """As `Fitted.shortest_side`. Half of `least`, because `decode` gives at least twice what it is asked for."""
        return self.least // 2

    def of(self, image: Image.Image) -> Pixels:
        """This input, from an RGB image."""
        return reduced(image, self.least, crop=self.crop)


@dataclass(frozen=True)
class Whole:
    """(h, w, 3): every pixel; of a JPEG of more than 100 megapixels, every second one on each side."""

    shortest_side: None = None

    def of(self, image: Image.Image) -> Pixels:
        """This input, from an RGB image."""
        return np.asarray(image, dtype=np.uint8)


PictureInput = Fitted | Reduced | Whole


def shortest_side(inputs: Iterable[PictureInput]) -> int | None:
    """The shorter side in pixels that suffices for all of these inputs; None where one of them needs every pixel."""
    sides = [one.shortest_side for one in inputs]
    return None if None in sides else max((side for side in sides if side is not None), default=1)
