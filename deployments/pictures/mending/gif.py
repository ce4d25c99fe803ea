"""What of a GIF file belongs to its first picture: its screen, what says which colour is transparent, and one frame."""

from deployments.pictures.budget import Budget
from deployments.pictures.mending.mended import Mended, Spans

SCREEN_BYTES, FRAME_BYTES, PALETTE = 13, 10, 0x80
EXTENSION, FRAME = 0x21, 0x2C
CONTROL = b"!\xf9\x04"  # of a frame: which colour is transparent
CONTROL_BYTES, BLOCKS_AT_ONCE = 8, 1 << 12


def mend(data: bytes, budget: Budget) -> Mended:
    """Leave out comments and other extensions, further frames, and what stands behind them.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    try:
        place = start = SCREEN_BYTES + _palette_bytes(data[SCREEN_BYTES - 3])
        control = None
        while data[place] != FRAME:
            if data.startswith(CONTROL, place) and data[place + CONTROL_BYTES - 1] == 0:
                control = place
            place = _end_of_blocks(data, place + 2, budget) if data[place] == EXTENSION else place + 1
        pixels = place + FRAME_BYTES + _palette_bytes(data[place + FRAME_BYTES - 1]) + 1
    except IndexError:
        return Mended(data)  # it has no frame; Pillow says so
    kept = Spans(data)
    kept.keep(0, start)
    if control is not None:
        kept.keep(control, control + CONTROL_BYTES)
    try:
        kept.keep(place, _end_of_blocks(data, pixels, budget))
    except IndexError:
        kept.keep(place, len(data))
    return Mended(kept.joined())


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & PALETTE else 0


def _end_of_blocks(data: bytes, place: int, budget: Budget) -> int:
    """Where a chain of blocks ends, each of which begins with its length, the last of length zero."""
    number = 0
    while size := data[place]:
        place, number = place + 1 + size, number + 1
        if number % BLOCKS_AT_ONCE == 0:
            budget.check()
    return place + 1
