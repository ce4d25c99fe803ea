"""What the first directory of a TIFF tells, read without a decoder."""

import struct

WIDTH, BITS, COMPRESSION, COLOUR, MAKE, SAMPLES, FORMAT, DNG = 256, 258, 259, 262, 271, 277, 339, 50706
PARTS = ((273, 279), (324, 325))  # offsets and byte counts, of strips and of tiles
SHAPES = {1: "B", 2: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}  # of the values of a tag, by their type
MOST_TAGS, MOST_VALUES = 1 << 12, 1 << 20

Tags = dict[int, tuple[int, ...]]


def directory(data: bytes) -> Tags:
    """The tags of a TIFF or BigTIFF that are whole numbers or texts, as far as the file is not cut off."""
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, entry, place, first = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    size, room = struct.calcsize("=" + entry + place), struct.calcsize("=" + place)
    found: Tags = {}
    try:
        [start] = struct.unpack_from(order + place, data, first)
        [entries] = struct.unpack_from(order + count, data, start)
        start += struct.calcsize("=" + count)
        for at in range(start, start + size * min(entries, MOST_TAGS), size):
            tag, shape, values = struct.unpack_from(order + entry, data, at)
            form = f"{order}{min(values, MOST_VALUES)}{SHAPES.get(shape, 's')}"
            where = at + size - room
            if struct.calcsize(form) > room:
                [where] = struct.unpack_from(order + place, data, where)
            if shape in SHAPES:
                found[tag] = struct.unpack_from(form, data, where)
    except struct.error:
        pass  # what was read until here is all that there is
    return found


def number(tags: Tags, tag: int) -> int:
    """The first value of a tag; 1, the default of the tags above, if it is not there."""
    return (*tags.get(tag, ()), 1)[0]


def end(tags: Tags) -> int:
    """Where the last byte of the pixels should stand; 0 if that is unknown."""
    parts = (zip(tags.get(starts, ()), tags.get(sizes, ()), strict=False) for starts, sizes in PARTS)
    return max((start + size for some in parts for start, size in some), default=0)
