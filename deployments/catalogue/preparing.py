"""Prepares an uploaded file for the models: it is decoded once, and only small pictures are kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.catalogue.exif import Json, read_exif
from deployments.catalogue.store.base import ThumbnailSize
from deployments.catalogue.thumbnails import LARGEST_SIDE, thumbnails
from deployments.pictures.decoding import decode_picture
from deployments.pictures.inputs import Fitted, PictureInput, shortest_side
from deployments.pictures.pixels import Pixels

NOTES = "notes"  # among the metadata: what was ignored, in whole sentences


@dataclass(frozen=True)
class CatalogueInputs:
    """What to prepare from a file.

    Attributes:
        models: the input of each model that is asked, by the name of its deployment.
        gps: whether the metadata include where a picture was taken.
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
    """Decode a file once, a JPEG no larger than needed, and make the thumbnails and the models' inputs.

    Raises:
        PictureRefused: the file cannot be decoded, or has too many pixels.
    """
    needed = shortest_side([Fitted(LARGEST_SIDE), *wanted.models.values()])
    decoded = decode_picture(data, wanted.max_pixels, needed)
    picture = decoded.image
    notes: dict[str, Json] = {NOTES: list(decoded.notes)} if decoded.notes else {}
    return Prepared(
        exif=read_exif(decoded.exif, gps=wanted.gps) | notes,
        thumbnails=thumbnails(picture),
        inputs={name: one.of(picture) for name, one in wanted.models.items()},
    )
