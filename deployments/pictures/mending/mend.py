"""Leniency where no pixel is lost: what a decoder stumbles over, and no picture needs, never reaches it."""

from collections.abc import Callable

from deployments.pictures.budget import Budget
from deployments.pictures.mending import gif, jpeg, jpeg2000, png, webp
from deployments.pictures.mending.mended import Mended

# What programs leave before a picture: line ends and the mark of UTF-8 of a script that sends it, or zeros.
LEAD, MOST_LEAD = b"\xef\xbb\xbf\r\n\t \0", 1 << 12
MAGICS = (b"\xff\xd8\xff", png.SIGNATURE, b"GIF87a", b"GIF89a", b"RIFF", b"II*\0", b"MM\0*")


def mend(data: bytes, budget: Budget) -> Mended:
    """The file as its decoder needs it.

    Raises:
        PictureBroken, PictureTooCostly, OverBudget, Abandoned: as the functions for each format.
    """
    file = without_lead(data)
    for magic, of_format in MENDERS.items():
        if file.startswith(magic):
            return of_format(file, budget)
    return Mended(file)


def without_lead(data: bytes) -> bytes:
    """Without blanks, zeros and the like before the first byte of a picture."""
    if not data or data[0] not in LEAD:
        return data
    head = data[:MOST_LEAD]
    lead = len(head) - len(head.lstrip(LEAD))
    return data[lead:] if data.startswith(MAGICS, lead) else data


def _riff(data: bytes, budget: Budget) -> Mended:
    return webp.mend(data, budget) if data[8 : webp.HEAD] == b"WEBP" else Mended(data)


MENDERS: dict[bytes, Callable[[bytes, Budget], Mended]] = {
    b"\xff\xd8\xff": jpeg.mend,
    png.SIGNATURE: png.mend,
    b"RIFF": _riff,
    b"GIF87a": gif.mend,
    b"GIF89a": gif.mend,
    jpeg2000.CODESTREAM: jpeg2000.mend,
    jpeg2000.BOXES: jpeg2000.mend,
}
