"""Exact search for the images most similar to a vector, among all vectors of the same weights.

There are two implementations with the same results. In memory, the vectors are kept in a NumPy matrix that is updated
from the database before each search. On PostgreSQL with the extension `vector`, the database compares them, and no
replica holds them. SQLite's extension sqlite-vec is not used: it compares every vector too, and many builds of Python
cannot load extensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.errors import InvalidVector
from deployments.catalogue.records import Hit
from deployments.catalogue.search.vectors import from_bytes, to_bytes
from deployments.catalogue.sql.database import Database
from deployments.catalogue.sql.tables import VectorRow

READ_AT_ONCE = 1_000


class Search(ABC):
    """A search over the embeddings in a database. All operations may raise CatalogueUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nearest(
        self, weights_id: str, query: NDArray[np.float32], count: int, min_score: float = -1.0
    ) -> list[Hit]:
        """The `count` best images with a score of at least `min_score`, the best first; ties go to the older image.

        Args:
            weights_id: the weights that computed `query`; only vectors of these weights are compared.
            query: (d,) float32, of any length except zero.
            count: at least 1.
            min_score: cosine similarity, −1 to 1.

        Raises:
            InvalidVector: the query is not finite, is zero, or has another dimension than the vectors.
        """
        to_bytes(query)
        hits = await self._nearest(weights_id, query, count)
        return [hit for hit in hits if hit.score >= min_score]

    @abstractmethod
    async def _nearest(self, weights_id: str, query: NDArray[np.float32], count: int) -> list[Hit]: ...

    async def _read(
        self, session: AsyncSession, weights_id: str, ids: Sequence[int]
    ) -> list[tuple[int, NDArray[np.float32]]]:
        """The stored vectors of these ids. A writing transaction locks their rows against deletion."""
        query = select(VectorRow.image_id, VectorRow.values).where(
            VectorRow.weights_id == weights_id, VectorRow.image_id.in_(ids)
        )
        rows = await session.execute(query.with_for_update(read=True, key_share=True))
        return [(image_id, from_bytes(values)) for image_id, values in rows]

    async def _dimensions(self, session: AsyncSession, weights_id: str) -> int | None:
        """The dimension of the vectors of these weights; None if there are none."""
        return await session.scalar(select(VectorRow.dimensions).where(VectorRow.weights_id == weights_id).limit(1))

    def _check_dimensions(self, weights_id: str, query: NDArray[np.float32], dimensions: int) -> None:
        if len(query) != dimensions:
            raise InvalidVector(f"The query has {len(query)} dimensions, the vectors of {weights_id} {dimensions}.")
