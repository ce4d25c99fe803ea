"""A thousand pictures: every format in every mode that it has, in many sizes, each with the pixels that it stands for.

They are cut out of the sample photos. What a mode cannot hold is given up before: the reference of a picture of 16
colours has these 16 colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from testbed.paths import SAMPLES
from testbed.pictures.colours import saved
from testbed.pictures.samples import Page, bmp, png, tiff

# 24 sizes × 43 pairs of a format and a mode
SIZES = (
    (1, 1), (2, 3), (7, 5), (16, 16), (17, 31), (33, 64), (40, 300), (300, 40), (64, 64), (97, 101), (100, 75), (128, 96),
    (150, 150), (160, 213), (199, 200), (224, 224), (225, 223), (256, 64), (240, 320), (320, 240), (333, 251), (400, 300),
    (480, 640), (640, 427),
)  # fmt: skip
MODES = {
    "JPEG": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "RGB;16"),
    "GIF": ("1", "L", "P"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "RGB;16"),
    "WEBP": ("RGB", "RGBA"),
    "HEIF": ("L", "RGB"),
    "AVIF": ("L", "RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "JXL": ("L", "LA", "RGB", "RGBA"),
}
PAIRS = tuple((kind, mode) for kind, modes in MODES.items() for mode in modes)
TRANSPARENT = {"LA", "RGBA"}
# JPEG 2000 and JPEG XL have no smaller ones from these encoders; a lossy block is a poor picture of a pixel.
LEAST_SIDE = {"JPEG2000": 16, "HEIF": 16, "AVIF": 16, "JPEG": 16}


@dataclass(frozen=True)
class Made:
    """A file, and the RGB picture that it is to be seen as."""

    name: str
    data: bytes
    seen: Image.Image


def pictures(sizes: tuple[tuple[int, int], ...] = SIZES) -> Iterator[Made]:
    """Every pair of a format and a mode in each of these sizes."""
    photos = [Image.open(SAMPLES / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]
    for number, size in enumerate(sizes):
        for kind, mode in PAIRS:
            least = LEAST_SIDE.get(kind, 1)
            width, height = (max(side, least) for side in size)
            photo = photos[(number + len(mode)) % 2]
            cut = photo.resize((width, height), Image.Resampling.LANCZOS, box=_window(photo, width, height, number))
            yield Made(f"{kind} {mode} {width}×{height}", *_made(cut, kind, mode))


def _window(photo: Image.Image, width: int, height: int, number: int) -> tuple[float, float, float, float]:
    """The part of a photo that a picture shows, of its own shape."""
    scale = min(photo.width / width, photo.height / height) * (0.5 + number % 5 / 10)
    left, top = (photo.width - width * scale) * (number % 3) / 2, (photo.height - height * scale) * (number % 4) / 3
    return left, top, left + width * scale, top + height * scale


def _made(photo: Image.Image, kind: str, mode: str) -> tuple[bytes, Image.Image]:
    if mode in TRANSPARENT:
        slope = np.linspace(255, 0, photo.width).astype(np.uint8)
        photo.putalpha(Image.fromarray(np.broadcast_to(slope, (photo.height, photo.width)).copy()))
    if mode == "RGB;16":
        values = np.asarray(photo).astype(np.uint16) * 257
        return (png(values, 16) if kind == "PNG" else tiff(Page(values, photometric=2))), photo
    if mode == "I;16":
        grey = photo.convert("L")
        return saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), kind), grey.convert("RGB")
    held = photo.convert("P", palette=Image.Palette.ADAPTIVE, colors=64) if mode == "P" else photo.convert(mode)
    if (kind, mode) == ("BMP", "RGBA"):
        return bmp(np.asarray(held)[..., [2, 1, 0, 3]]), _on_white(held)
    options: dict[str, Any] = {"compression": "raw"} if (kind, mode) == ("TIFF", "1") else {}
    return saved(held, kind, **options), _on_white(held) if mode in TRANSPARENT else held.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
