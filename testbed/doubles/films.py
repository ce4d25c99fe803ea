"""Videos whose frames show their numbers, made by the `ffmpeg` of the system: a frame proves which one it is.

Small and short: 128 × 96 pixels, 100 frames. The lower half shows the number as bars, one for each bit; above moves a
pattern, so that encoders have something to predict.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from deployments.pictures.pixels import Pixels

SIZE = WIDTH, HEIGHT = 128, 96
BITS = 8
FFMPEG = shutil.which("ffmpeg")


@dataclass(frozen=True)
class Film:
    """How a film is made.

    Attributes:
        container: the ending of its name.
        options: those of ffmpeg for the encoder and the container.
        rate: frames a second.
        frames: how many; at most 255.
    """

    container: str
    options: str
    rate: str = "25"
    frames: int = 100

    def second(self, number: int) -> float:
        """When a frame is shown, in seconds from the first."""
        return float(number / Fraction(self.rate))


def make(film: Film, folder: Path) -> Path:
    """Encode a film; returns the file."""
    path = folder / f"film.{film.container}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", film.rate, "-i", "-"]
    ffmpeg([*source, *film.options.split(), str(path)], b"".join(map(_bytes, range(film.frames))))
    return path


def ffmpeg(arguments: Sequence[str], data: bytes = b"") -> None:
    """Run ffmpeg; AssertionError with what it says when it fails."""
    command = [FFMPEG or "ffmpeg", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def numbered(number: int) -> Pixels:
    """Frame `number` of a film, (96, 128, 3) RGB."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    moving = 128 + 60 * np.sin((columns + 3 * number) / 9) + 40 * np.cos((rows - 2 * number) / 7)
    image = np.stack([moving, moving[::-1], 255 - moving], axis=2).astype(np.uint8)
    for bit in range(BITS):
        image[HEIGHT // 2 :, bit * WIDTH // BITS : (bit + 1) * WIDTH // BITS] = 255 * (number >> bit & 1)
    return image


@cache
def _bytes(number: int) -> bytes:
    return numbered(number).tobytes()


def number_of(image: Image.Image) -> int:
    """The number that a frame shows, whatever its size."""
    pixels = np.asarray(image.convert("L").resize(SIZE, Image.Resampling.BOX))[HEIGHT * 5 // 8 : HEIGHT * 7 // 8]
    bars = pixels.reshape(len(pixels), BITS, WIDTH // BITS)[:, :, 4:-4].mean(axis=(0, 2))
    return int(sum(1 << bit for bit in range(BITS) if bars[bit] > 128))
