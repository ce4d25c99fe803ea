"""Which of the pictures in a TIFF is the one that it is about.

Raw files of cameras begin with a thumbnail, and keep the picture behind it or in a directory of its own.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SUBFILE, OLD_SUBFILE, WIDTH, LENGTH, PHOTOMETRIC, ORIENTATION, PAGE, CHILDREN = 254, 255, 256, 257, 262, 274, 297, 330
WANTED = {SUBFILE, OLD_SUBFILE, WIDTH, LENGTH, PHOTOMETRIC, ORIENTATION, PAGE, CHILDREN}
REDUCED, A_PAGE, MASK = 1, 2, 4  # bits of SUBFILE
OLD_KINDS = {2: REDUCED, 3: A_PAGE}
SENSORS = {32803, 34892}  # photometric interpretations of raw data
# A preview of raw data that has less than this part of its sides is no picture of it.
LEAST_PREVIEW = 1 / 8
NUMBERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
MOST_DIRECTORIES, MOST_CHILDREN, MOST_ENTRIES = 256, 64, 4096


class OnlyRaw(ValueError):
    """A TIFF has no picture but raw data of a sensor, and at most a thumbnail of it."""


@dataclass(frozen=True)
class Directory:
    """What a directory tells of its picture; `offset` is where it stands."""

    offset: int
    tags: dict[int, tuple[int, ...]]

    def number(self, tag: int) -> int | None:
        """The first number of a tag."""
        return next(iter(self.tags.get(tag, ())), None)

    @property
    def pixels(self) -> int:
        """Width times height; 0 for what is no picture."""
        return (self.number(WIDTH) or 0) * (self.number(LENGTH) or 0)

    @property
    def kind(self) -> int:
        """The bits of SUBFILE."""
        return self.number(SUBFILE) or OLD_KINDS.get(self.number(OLD_SUBFILE) or 0, 0)

    @property
    def is_sensor(self) -> bool:
        """Whether it is raw data of which a picture would have to be made first."""
        return self.number(PHOTOMETRIC) in SENSORS


class Structure:
    """Reads and writes the directories of a TIFF or BigTIFF, in its byte order.

    All of it raises struct.error where the file is cut off.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self._order = ">" if bytes(data[:2]) == b"MM" else "<"
        self._big = self._unpack("H", 2)[0] == 43
        self._place, self._count, self._entry = ("Q", "Q", 20) if self._big else ("I", "H", 12)
        self.header = 8 if self._big else 4  # where the place of the first directory stands

    def point_to(self, offset: int) -> bytes:
        """The bytes of a header's pointer to a directory."""
        return struct.pack(self._order + self._place, offset)

    def all(self) -> list[Directory]:
        """The directories of the file in their order, each followed by those inside it."""
        found: dict[int, Directory] = {}
        [offset] = self._unpack(self._place, self.header)
        while offset and offset not in found and len(found) < MOST_DIRECTORIES:
            directory, following = self._directory(offset)
            found[offset] = directory
            for child in directory.tags.get(CHILDREN, ()):
                if child not in found and len(found) < MOST_DIRECTORIES:
                    found[child] = self._directory(child)[0]
            offset = following
        return list(found.values())

    def written(self, tags: dict[int, tuple[int, ...]], offset: int) -> bytes:
        """A directory of whole numbers that is to stand at `offset`, the last of its file."""
        form, kind = ("Q", 16) if self._big else ("I", 4)
        outside = offset + struct.calcsize("=" + self._count + self._place) + self._entry * len(tags)
        entries, far = struct.pack(self._order + self._count, len(tags)), b""
        for tag, values in sorted(tags.items()):
            packed = struct.pack(f"{self._order}{len(values)}{form}", *values)
            entries += struct.pack(self._order + "HH" + self._place, tag, kind, len(values))
            entries += packed if len(values) == 1 else self.point_to(outside + len(far))
            far += packed if len(values) > 1 else b""
        return entries + self.point_to(0) + far

    def _directory(self, offset: int) -> tuple[Directory, int]:
        [count] = self._unpack(self._count, offset)
        start = offset + struct.calcsize(self._count)
        entries = range(start, start + self._entry * min(count, MOST_ENTRIES), self._entry)
        tags = {tag: values for entry in entries for tag, values in self._tag(entry)}
        following = self._unpack(self._place, start + self._entry * count)[0] if count <= MOST_ENTRIES else 0
        return Directory(offset, tags), following

    def _tag(self, entry: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        tag, kind, count = self._unpack("HH" + self._place, entry)
        if tag in WANTED and kind in NUMBERS and 0 < count <= MOST_CHILDREN:
            form, value = f"{count}{NUMBERS[kind]}", entry + 4 + struct.calcsize(self._place)
            outside = struct.calcsize("=" + form) > struct.calcsize(self._place)
            yield tag, self._unpack(form, self._unpack(self._place, value)[0] if outside else value)

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, self._data, offset)


def is_raw(data: bytes) -> bool:
    """Whether a TIFF holds raw data of which a picture would have to be made first."""
    try:
        return any(one.is_sensor for one in Structure(data).all())
    except (struct.error, OverflowError):
        return False


def largest(directories: list[Directory]) -> Directory | None:
    """The largest picture in full resolution, or of raw data the largest preview; None if there is none.

    Of a document it is the first page.

    Raises:
        OnlyRaw: there is only raw data, with or without a thumbnail.
    """
    shown = [one for one in directories if one.pixels and not one.is_sensor and not one.kind & MASK]
    whole = [one for one in shown if not one.kind & REDUCED]
    if whole and whole[0] is directories[0] and (whole[0].kind & A_PAGE or PAGE in whole[0].tags):
        return whole[0]
    chosen = max(whole or shown, key=lambda one: one.pixels, default=None)
    sensor = max((one.pixels for one in directories if one.is_sensor), default=0)
    if sensor and (chosen is None or chosen.pixels < sensor * LEAST_PREVIEW**2):
        raise OnlyRaw
    return chosen
