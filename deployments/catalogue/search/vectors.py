"""Stored embeddings: little-endian float32, by image and by the id of the weights that computed them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.errors import InvalidVector
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.tables import ImageRow, VectorRow

STORED = np.dtype("<f4")


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """The stored form of a vector (d,).

    Raises:
        InvalidVector: it is zero, not finite, or not one-dimensional.
    """
    values = np.ascontiguousarray(vector, STORED)
    if values.ndim != 1 or not np.isfinite(values).all() or not values.any():
        raise InvalidVector(f"An embedding is a finite vector that is not zero, not an array of {values.shape}.")
    return values.tobytes()


def from_bytes(values: bytes) -> NDArray[np.float32]:
    """The vector (d,) in stored bytes, read-only."""
    return np.frombuffer(values, STORED).astype(np.float32, copy=False)


async def write(
    database: Database, session: AsyncSession, image_id: int, vectors: Mapping[str, NDArray[np.float32]]
) -> None:
    """Store the vectors of an image by weights id, keeping existing ones. The transaction must hold the image's row."""
    rows = [
        {"weights_id": weights_id, "image_id": image_id, "dimensions": len(vector), "values": to_bytes(vector)}
        for weights_id, vector in vectors.items()
    ]
    if rows:
        await session.execute(database.insert(VectorRow).on_conflict_do_nothing(), rows)


class Embeddings:
    """The operations of the job that computes a catalogue's embeddings with other weights."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def missing(self, weights_id: str, limit: int, after: int = 0) -> Sequence[tuple[int, str]]:
        """(id, SHA-256) of at most `limit` processed images with ids above `after` and no vector of these weights."""
        has = exists().where(VectorRow.image_id == ImageRow.id, VectorRow.weights_id == weights_id)
        query = (
            select(ImageRow.id, ImageRow.sha256)
            .where(ImageRow.status == "processed", ImageRow.id > after, ~has)
            .order_by(ImageRow.id)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [(image_id, sha256) for image_id, sha256 in await session.execute(query)]

    async def add(self, weights_id: str, vectors: Mapping[int, NDArray[np.float32]]) -> int:
        """Store vectors by image id, for images that still exist, and return their number."""
        async with self._database.writing() as session:
            held = select(ImageRow.id).where(ImageRow.id.in_(vectors)).with_for_update(read=True, key_share=True)
            there = (await session.scalars(held)).all()
            for image_id in there:
                await write(self._database, session, image_id, {weights_id: vectors[image_id]})
        return len(there)

    async def drop(self, weights_id: str) -> None:
        """Delete all vectors of these weights."""
        async with self._database.writing() as session:
            await session.execute(delete(VectorRow).where(VectorRow.weights_id == weights_id))
