"""Why a file is no picture that can be looked at.

PictureRefused
├── PictureEmpty       the file is empty
├── PictureBroken      the file cannot be decoded
├── PictureTooLarge    the picture has more pixels than are accepted
└── PictureTooCostly   decoding takes more CPU time than a file of its size may
"""


class PictureRefused(Exception):
    """Base of the errors; the message says what to send instead."""


class PictureEmpty(PictureRefused):
    """The file is empty."""


class PictureBroken(PictureRefused):
    """The file is not a picture, or is broken."""


class PictureTooLarge(PictureRefused):
    """The picture has more pixels than are accepted; none were allocated."""


class PictureTooCostly(PictureRefused):
    """Decoding takes more CPU time than a file of its size may; see `deployments.pictures.budget`."""
