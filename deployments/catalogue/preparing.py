"""What a worker makes of an uploaded file before any model looks: it is opened once, and only small pictures stay."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.catalogue.exif import Json, read_exif
from deployments.catalogue.store.base import ThumbnailSize
from deployments.catalogue.thumbnails import LARGEST_SIDE, thumbnails
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted, PictureInput, shortest_side
from deployments.pictures.pixels import Pixels


@dataclass(frozen=True)
class CatalogueInputs:
    """What is made of a file.

    Attributes:
        models: what each model that looks is given, by its deployment's name.
        gps: whether the metadata say where a picture was taken.
        max_pixels: larger pictures are refused.
    """

    models: Mapping[str, PictureInput]
    gps: bool
    max_pixels: int


@dataclass(frozen=True)
class Prepared:
    """A file ready for every model: its metadata, the thumbnails, and each model's input by the deployment's name."""

    exif: dict[str, Json]
    thumbnails: dict[ThumbnailSize, bytes]
    inputs: dict[str, Pixels]


def prepare(data: bytes, wanted: CatalogueInputs) -> Prepared:
    """Decode a file, once, a JPEG at no more than it needs; PictureRefused for one that cannot be."""
    needed = shortest_side([Fitted(LARGEST_SIDE), *wanted.models.values()])
    decoded = decode_picture(data, wanted.max_pixels, needed)
    picture = decoded.image
    return Prepared(
        exif=read_exif(decoded.exif, gps=wanted.gps),
        thumbnails=thumbnails(picture),
        inputs={name: one.of(picture) for name, one in wanted.models.items()},
    )
