"""The photos that every measured server gets: the same bytes, in the same order.

They are the pictures in `images` of `testbed.paths.SHARED`, where there are any, and the two sample photos that
scikit-learn ships. All are encoded as JPEG here, so that only the pictures differ and not the codecs.
"""

import io
import statistics
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from testbed.paths import SAMPLES, SHARED

QUALITY = 90
# Widths in pixels of the sample photos when there are no others: from a thumbnail to a phone's picture
WIDTHS = (320, 640, 1024, 1600)


@dataclass(frozen=True)
class Photo:
    """One JPEG, with its width and height in pixels."""

    name: str
    data: bytes
    width: int
    height: int


def load() -> list[Photo]:
    """All photos, in the same order on every machine that has the same files."""
    files = sorted(path for path in (SHARED / "images").glob("*") if path.suffix in {".jpg", ".png"})
    shared = [_encode(path.name, _open(path)) for path in files]
    samples = [(name, _open(SAMPLES / name)) for name in ("china.jpg", "flower.jpg")]
    if shared:
        return shared + [_encode(name, image) for name, image in samples]
    return [_encode(f"{width}-{name}", _scaled(image, width)) for width in WIDTHS for name, image in samples]


def describe(photos: list[Photo]) -> str:
    """Count and medians, e.g. `14 JPEGs, median 96 kB and 0.33 megapixels`."""
    kilobytes = statistics.median(len(photo.data) for photo in photos) / 1000
    megapixels = statistics.median(photo.width * photo.height for photo in photos) / 1e6
    return f"{len(photos)} JPEGs, median {kilobytes:.0f} kB and {megapixels:.2f} megapixels"


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _scaled(image: Image.Image, width: int) -> Image.Image:
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def _encode(name: str, image: Image.Image) -> Photo:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return Photo(name, buffer.getvalue(), image.width, image.height)
