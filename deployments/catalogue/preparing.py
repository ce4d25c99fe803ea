"""What a worker makes of an uploaded file before any model looks: it is opened once, and only small pictures stay."""

from dataclasses import dataclass

from deployments.catalogue.exif import Json, read_exif
from deployments.catalogue.store.base import ThumbnailSize
from deployments.catalogue.thumbnails import thumbnails
from deployments.pictures.decoding import decode_picture, reduced
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import CAPTIONER_LEAST, TAGGER_LEAST, fit


@dataclass(frozen=True)
class CatalogueInputs:
    """Which models look, and how large CLIP's input is; None without CLIP."""

    clip_size: int | None
    captioner: bool
    tagger: bool
    gps: bool
    max_pixels: int


@dataclass(frozen=True)
class Prepared:
    """A file ready for every model: the thumbnails, and each model's input where it is wanted.

    `for_clip` is (size, size, 3), the others (h, w, 3), RGB.
    """

    exif: dict[str, Json]
    thumbnails: dict[ThumbnailSize, bytes]
    for_clip: Pixels | None
    for_captioner: Pixels | None
    for_tagger: Pixels | None


def prepare(data: bytes, wanted: CatalogueInputs) -> Prepared:
    """Decode a file, once, a JPEG at no more than it needs; PictureRefused for one that cannot be."""
    decoded = decode_picture(data, wanted.max_pixels, CAPTIONER_LEAST // 2)
    picture = decoded.image
    return Prepared(
        exif=read_exif(decoded.exif, gps=wanted.gps),
        thumbnails=thumbnails(picture),
        for_clip=None if wanted.clip_size is None else fit(picture, wanted.clip_size),
        for_captioner=reduced(picture, CAPTIONER_LEAST) if wanted.captioner else None,
        for_tagger=reduced(picture, TAGGER_LEAST, crop=True) if wanted.tagger else None,
    )
