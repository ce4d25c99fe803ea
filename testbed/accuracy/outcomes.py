"""What an evaluation counts, and the format in which its pictures are sent."""

import io
from collections import Counter
from dataclasses import dataclass, field

from PIL import Image


@dataclass
class Outcome:
    """Right answers out of all.

    Attributes:
        mistakes: how often each wrong answer was given, as `expected -> answered`.
    """

    right: int = 0
    total: int = 0
    mistakes: Counter[str] = field(default_factory=Counter)

    def add(self, expected: str, answered: str) -> None:
        """Count one answer."""
        self.total += 1
        self.right += expected == answered
        if expected != answered:
            self.mistakes[f"{expected} -> {answered}"] += 1

    @property
    def share(self) -> float:
        """Right answers, 0–1."""
        return self.right / self.total

    def __str__(self) -> str:
        common = ", ".join(f"{mistake} ×{count}" for mistake, count in self.mistakes.most_common(5))
        return f"{self.right} of {self.total} = {self.share:.1%}" + (f" ({common})" if common else "")


def png(image: Image.Image) -> bytes:
    """The image as a PNG file, which loses nothing."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
