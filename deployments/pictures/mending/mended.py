"""A file as its decoder needs it."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mended:
    """The parts of a file that decide its pixels, their colours and which side is up.

    Attributes:
        data: a file of the same format and pixels; the file itself where nothing had to be left out.
        notes: what was left out though it bears on the colours, in whole sentences.
        scans: of a JPEG, how often a scan of these components occurs, by the bytes of their ids.
        ended: False for a JPEG whose end marker was missing, and is added in `data`; whether all pixels are there is
            not known then.
    """

    data: bytes
    notes: tuple[str, ...] = ()
    scans: Counter[bytes] = field(default_factory=Counter)
    ended: bool = True


class Spans:
    """Parts of a file in their order, as few as can be: parts that follow each other are one."""

    def __init__(self, data: bytes) -> None:
        self._data, self._spans = data, list[list[int]]()

    def keep(self, start: int, end: int) -> None:
        """Add the bytes from `start` to `end`."""
        if self._spans and self._spans[-1][1] == start:
            self._spans[-1][1] = end
        else:
            self._spans.append([start, end])

    def joined(self) -> bytes:
        """All parts; the file itself if they are all of it."""
        if self._spans == [[0, len(self._data)]]:
            return self._data
        whole = memoryview(self._data)
        return b"".join(whole[start:end] for start, end in self._spans)
