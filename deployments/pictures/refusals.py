"""Why a file is no picture that can be looked at.

PictureRefused
├── PictureEmpty       the file is empty
├── PictureBroken      the file cannot be decoded
│   └── PictureUnread  its format is read, but not this variant of it
├── PictureTooLarge    the picture has more pixels than are accepted
└── PictureTooCostly   decoding takes more CPU time than a file of its size may
"""

# Pillow allocates each row by itself: a hundred million rows of a pixel would take gigabytes and ten seconds.
LONGEST_SIDE = 1_000_000


class PictureRefused(Exception):
    """Base of the errors; the message says what to send instead."""


class PictureEmpty(PictureRefused):
    """The file is empty."""


class PictureBroken(PictureRefused):
    """The file is not a picture, or is broken."""


class PictureUnread(PictureBroken):
    """The file is a variant of a format that is read which its reader does not take, and may be all right."""


class PictureTooLarge(PictureRefused):
    """The picture has more pixels than are accepted; none were allocated."""


class PictureTooCostly(PictureRefused):
    """Decoding takes more CPU time than a file of its size may; see `deployments.pictures.budget`."""


def too_large(width: int, height: int, max_pixels: int) -> PictureTooLarge:
    """The refusal of a picture of this size, in pixels."""
    if max(width, height) > LONGEST_SIDE and width * height <= max_pixels:
        most = f"{LONGEST_SIDE} on a side are accepted: cut it"
    else:
        most = f"{max_pixels / 1e6:g} megapixels are accepted: scale it down"
    return PictureTooLarge(f"The image has {width} × {height} pixels; at most {most}.")
