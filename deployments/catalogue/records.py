"""The values that the catalogue takes and returns. All can be pickled; all times are timezone-aware, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deployments.models.tagger.answers import Tag

Status = Literal["processing", "processed", "failed"]
Order = Literal["oldest", "newest"]
Exif = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """The format of an uploaded file, by its name in `deployments.pictures.formats`, and its size in pixels.

    The size is that of the header, before EXIF turns the picture upright; that of a HEIC or an AVIF is upright.
    """

    format: str
    width: int
    height: int


@dataclass(frozen=True)
class Image:
    """An image of the catalogue.

    `sha256` is the hash of its file in hexadecimal; images with the same hash share one file. The results of processing
    are empty until `status` is `processed`. `error` says why the image, or its last attempt, failed.
    `processing_time_s` is that of the successful attempt.
    """

    id: int
    filename: str
    status: Status
    sha256: str
    size_bytes: int
    facts: Facts
    created_at: datetime
    processed_at: datetime | None = None
    processing_time_s: float | None = None
    exif: Exif = field(default_factory=dict)
    caption: str | None = None
    tags: tuple[Tag, ...] = ()
    error: str | None = None
    attempts: int = 0


@dataclass(frozen=True)
class Page:
    """One page of a list; `next_cursor` leads to the next page and is None on the last."""

    images: list[Image]
    next_cursor: str | None


@dataclass(frozen=True)
class Stats:
    """The numbers of images by status, and the mean `processing_time_s` of processed images, 0 if there are none."""

    processed: int
    failed: int
    processing: int
    average_processing_time_s: float

    @property
    def total(self) -> int:
        return self.processed + self.failed + self.processing

    @property
    def success_rate(self) -> float:
        """The share of finished images that were processed, 0–1; 0 if none is finished."""
        finished = self.processed + self.failed
        return self.processed / finished if finished else 0.0

    @property
    def failure_rate(self) -> float:
        """The share of finished images that failed, 0–1; 0 if none is finished."""
        finished = self.processed + self.failed
        return self.failed / finished if finished else 0.0


@dataclass(frozen=True)
class Backlog:
    """Images that are `ready` to be leased, `leased` by a worker, `delayed` until their next attempt, or `failed`."""

    ready: int
    leased: int
    delayed: int
    failed: int = 0

    @property
    def total(self) -> int:
        """The number of images that are not finished."""
        return self.ready + self.leased + self.delayed


@dataclass(frozen=True)
class Lease:
    """The right to process an image until `until`. `holder` is the worker's name with a unique id of the lease."""

    image_id: int
    sha256: str
    holder: str
    attempt: int
    until: datetime


@dataclass(frozen=True)
class Result:
    """The results for an image. `vectors`: embeddings (d,) by weights id, finite float32, not zero."""

    processing_time_s: float
    exif: Exif = field(default_factory=dict)
    caption: str | None = None
    tags: tuple[Tag, ...] = ()
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit:
    """An image that a search found; `score` is the cosine similarity, −1 to 1."""

    image_id: int
    score: float
