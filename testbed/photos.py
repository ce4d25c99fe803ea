"""The photos every server is shown: the same bytes, in the same order.

Real pictures beside the checkout where there are any (`PANOPTES_SHARED`, or the sibling folder `shared`), and the two
sample photos that scikit-learn ships. All are encoded anew as JPEG, so that only the pictures differ, not the codecs.
"""

import io
import os
import statistics
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from configs.project import PROJECT

QUALITY = 90
# Widths in pixels of the sample photos where they stand alone: from a thumbnail to what a phone's gallery sends.
WIDTHS = (320, 640, 1024, 1600)


@dataclass(frozen=True)
class Photo:
    """One JPEG and how large its picture is."""

    name: str
    data: bytes
    width: int
    height: int


def load() -> list[Photo]:
    """All photos, in an order that is the same on every machine that has the same files."""
    shared = [_encode(path.name, _open(path)) for path in _shared_files()]
    samples = [(path.name, _open(path)) for path in _sample_files()]
    if shared:
        return shared + [_encode(name, image) for name, image in samples]
    return [_encode(f"{width}-{name}", _scaled(image, width)) for width in WIDTHS for name, image in samples]


def describe(photos: list[Photo]) -> str:
    """Count and medians, e.g. `14 JPEGs, median 96 kB and 0.33 megapixels`."""
    kilobytes = statistics.median(len(photo.data) for photo in photos) / 1000
    megapixels = statistics.median(photo.width * photo.height for photo in photos) / 1e6
    return f"{len(photos)} JPEGs, median {kilobytes:.0f} kB and {megapixels:.2f} megapixels"


def _shared_files() -> list[Path]:
    folder = Path(os.environ.get("PANOPTES_SHARED", PROJECT.parent / "shared")) / "images"
    return sorted(path for path in folder.glob("*") if path.suffix in {".jpg", ".png"})


def _sample_files() -> list[Path]:
    spec = find_spec("sklearn")  # its photos are files of the wheel: no need to import it
    if spec is None or spec.origin is None:
        raise RuntimeError("the benchmark's photos come with scikit-learn: run `make setup`")
    folder = Path(spec.origin).parent / "datasets" / "images"
    return [folder / "china.jpg", folder / "flower.jpg"]


def _open(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _scaled(image: Image.Image, width: int) -> Image.Image:
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def _encode(name: str, image: Image.Image) -> Photo:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return Photo(name, buffer.getvalue(), image.width, image.height)
