"""Where the picture of a JPEG 2000 file ends."""

from deployments.pictures.budget import Budget
from deployments.pictures.mending.mended import Mended

CODESTREAM, BOXES = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
TILE, END, PIXELS = b"\xff\x90", b"\xff\xd9", b"jp2c"
MOST_PARTS, PARTS_AT_ONCE = 1 << 17, 1 << 10  # of tiles, and boxes or markers before them


def mend(data: bytes, budget: Budget) -> Mended:
    """Leave out what stands behind the picture, and add an end marker that is missing where all tiles are there.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    start = _codestream(data)
    end = None if start is None else _end_of_tiles(data, start, budget)
    if end is None or end > len(data):
        return Mended(data)  # its decoder says what is wrong
    found = data[end : end + len(END)]
    if found == END:
        return Mended(data[: end + len(END)])
    return Mended(data + END[len(found) :]) if END.startswith(found) else Mended(data)


def _codestream(data: bytes) -> int | None:
    """Where the codestream begins; None if none is found."""
    place = 0
    for _ in range(MOST_PARTS):
        if data.startswith(CODESTREAM, place):
            return place
        size = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == PIXELS:
            place += 16 if size == 1 else 8
        elif size >= 8:
            place += size
        else:
            return None
    return None


def _end_of_tiles(data: bytes, start: int, budget: Budget) -> int | None:
    """Where the last part of a tile ends; None if a length is not told."""
    place = start + 2
    for number in range(MOST_PARTS):
        if number % PARTS_AT_ONCE == 0:
            budget.check()
        if data.startswith(TILE, place):
            size = int.from_bytes(data[place + 6 : place + 10], "big")
            if size == 0:
                return None
            place += size
        elif data.startswith(END, place) or place >= len(data) - 1:
            return place
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
