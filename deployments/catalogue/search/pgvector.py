"""The search in PostgreSQL with the extension pgvector."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deployments.catalogue.records import Hit
from deployments.catalogue.search.base import READ_AT_ONCE, Search
from deployments.catalogue.search.matrix import unit
from deployments.catalogue.search.memory import MatrixSearch
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.migrate import MIGRATION_LOCK

logger = logging.getLogger("ray.serve.panoptes.catalogue")


# The table uses a type of the extension, which may not be installed, so it is created here and not by the migrations.
_CREATE = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    """
    CREATE TABLE IF NOT EXISTS vectors_pgvector (
        weights_id text NOT NULL,
        image_id integer NOT NULL,
        embedding vector NOT NULL,
        PRIMARY KEY (weights_id, image_id),
        FOREIGN KEY (weights_id, image_id) REFERENCES vectors ON DELETE CASCADE
    )
    """,
)
_AVAILABLE = text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
_NOT_FOLLOWED = text(
    """
    SELECT image_id FROM vectors
    WHERE weights_id = :weights_id AND NOT EXISTS (
        SELECT FROM vectors_pgvector f WHERE f.weights_id = vectors.weights_id AND f.image_id = vectors.image_id
    )
    """
)
_FOLLOW = text(
    """
    INSERT INTO vectors_pgvector (weights_id, image_id, embedding)
    VALUES (:weights_id, :image_id, CAST(:vector AS vector)) ON CONFLICT DO NOTHING
    """
)
_NEAREST = text(
    """
    SELECT image_id, -(embedding <#> CAST(:query AS vector)) AS score FROM vectors_pgvector
    WHERE weights_id = :weights_id ORDER BY score DESC, image_id LIMIT :count
    """
)


async def open_search(database: Database) -> Search:
    """The search for a database: `PgvectorSearch` if it is PostgreSQL with a usable extension, else `MatrixSearch`."""
    if database.is_sqlite:
        return MatrixSearch(database)
    async with database.reading() as session:
        available = await session.scalar(_AVAILABLE)
    if not available:
        return MatrixSearch(database)
    try:
        async with database.writing() as session:
            await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            for statement in _CREATE:
                await session.execute(text(statement))
    except DBAPIError as error:
        logger.warning("pgvector is installed but may not be used (%s): searches compare in memory", error.orig)
        return MatrixSearch(database)
    return PgvectorSearch(database)


class PgvectorSearch(Search):
    """Searches in PostgreSQL, in a table of the extension's type that this class fills from the stored vectors.

    The table has no vector index, so that the extension compares all vectors and misses none.
    """

    async def _nearest(self, weights_id: str, query: NDArray[np.float32], count: int) -> list[Hit]:
        await self._follow(weights_id)
        asked = unit(query[np.newaxis])[0]
        async with self._database.reading() as session:
            dimensions = await self._dimensions(session, weights_id)
            if dimensions is None:
                return []
            self._check_dimensions(weights_id, query, dimensions)
            rows = await session.execute(_NEAREST, {"query": _literal(asked), "weights_id": weights_id, "count": count})
            return [Hit(image_id, float(np.clip(score, -1, 1))) for image_id, score in rows]

    async def _follow(self, weights_id: str) -> None:
        """Copy the vectors that were stored since the last search."""
        async with self._database.reading() as session:
            new = (await session.scalars(_NOT_FOLLOWED, {"weights_id": weights_id})).all()
        for start in range(0, len(new), READ_AT_ONCE):
            async with self._database.writing() as session:
                read = await self._read(session, weights_id, new[start : start + READ_AT_ONCE])
                if read:
                    await session.execute(_FOLLOW, await asyncio.to_thread(_rows, weights_id, read))


def _rows(weights_id: str, vectors: Sequence[tuple[int, NDArray[np.float32]]]) -> list[dict[str, Any]]:
    """The parameters of `_FOLLOW` for vectors with the ids of their images."""
    return [
        {"image_id": image_id, "weights_id": weights_id, "vector": _literal(unit(vector[np.newaxis])[0])}
        for image_id, vector in vectors
    ]


def _literal(vector: NDArray[np.float32]) -> str:
    """A vector as a literal of the extension; nine digits represent a float32 exactly."""
    return "[" + ",".join(f"{value:.9g}" for value in vector.tolist()) + "]"
