"""The images and PDFs of publications: made from a few dozen drawn scenes, yet with bytes that differ in every file."""

import random
import struct
import time
import zlib
from functools import lru_cache
from io import BytesIO
from threading import Lock

from PIL import Image

from training.drawing.chance import canvas
from training.scenes import KINDS, Category, Split, draw_scene, generator

DRAWN = (
    "map/carto", "page", "aerial/town", "sign", "map/topographic",
    "drawing/tree", "map/atlas", "photo/facade", "aerial/mosaic", "page",
)  # fmt: skip


class Drawings:
    """Scenes by number. What each shows is known, since it is drawn.

    Args:
        count: the number of scenes, at least one for each entry of DRAWN.
        seed: of the scenes.
        side: the shorter side in pixels, from and to (not included); pages of text are at least 230 wide.
    """

    def __init__(self, count: int = 40, seed: int = 1, side: tuple[int, int] = (180, 300)) -> None:
        if count < len(DRAWN):
            raise ValueError(f"{count} drawings are too few: there are {len(DRAWN)} kinds")
        self.count, self._seed, self._side = count, seed, side
        self._drawn: dict[int, Image.Image] = {}
        self._lock = Lock()
        self._encoded = lru_cache(maxsize=2 * count)(self._encode)
        self._bound = lru_cache(maxsize=64)(self._bind)

    def kind(self, number: int) -> str:
        """The kind of the scene, one of training.scenes.KINDS."""
        return DRAWN[number % len(DRAWN)]

    def category(self, number: int) -> Category:
        """The right answer of /classify."""
        return KINDS[self.kind(number)].category

    def any(self, rng: random.Random) -> int:
        """The number of a random scene."""
        return rng.randrange(self.count)

    def pages(self, rng: random.Random) -> tuple[int, ...]:
        """The scenes on the pages of an attachment: text, and on the last page mostly a map or an aerial view."""
        text = [number for number in range(self.count) if self.kind(number) == "page"]
        wanted = rng.random() < 0.7
        last = [number for number in range(self.count) if (self.category(number) != "miscellaneous") == wanted]
        return (*rng.choices(text, k=rng.randint(0, 3)), rng.choice(last))

    def image(self, number: int, format: str, name: str) -> bytes:
        """The file of an image, "png" or "jpg". It holds its name as a comment, so that no two files are the same."""
        data, comment = self._encoded(number, format), name.encode()
        if format == "jpg":  # after the start of the image, a comment with its length
            return data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]
        text = b"tEXtComment\0" + comment
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        return data[:-12] + chunk + data[-12:]  # before the end, which is a chunk of 12 bytes

    def pdf(self, numbers: tuple[int, ...], name: str) -> bytes:
        """A PDF with a scene on each page, and its name as a comment at the end."""
        return self._bound(numbers) + f"%{name}\n".encode()

    def _scene(self, number: int) -> Image.Image:
        """A copy of a scene: Pillow keeps a PDF's settings on its page images, where they would affect the next PDF."""
        with self._lock:
            if number not in self._drawn:
                with canvas(*self._side):
                    scene = draw_scene(generator(Split.EVALUATION, self._seed, number), self.kind(number))
                self._drawn[number] = scene.image
            return self._drawn[number].copy()

    def _encode(self, number: int, format: str) -> bytes:
        buffer = BytesIO()
        self._scene(number).save(buffer, {"jpg": "JPEG", "png": "PNG"}[format])
        return buffer.getvalue()

    def _bind(self, numbers: tuple[int, ...]) -> bytes:
        buffer, (first, *others) = BytesIO(), [self._scene(number) for number in numbers]
        long_ago = time.gmtime(0)
        first.save(buffer, "PDF", save_all=True, append_images=others, creationDate=long_ago, modDate=long_ago)
        return buffer.getvalue()
