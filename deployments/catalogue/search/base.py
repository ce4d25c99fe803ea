"""The images most like a vector, among the vectors of one model's weights alone. Every vector is compared.

Two ways find the same images. In memory: the vectors are kept as a NumPy matrix, which follows the database before
every search. On a PostgreSQL with the extension `vector` they are compared there, and no replica holds them. For SQLite
there is an extension too (sqlite-vec), but it also compares every vector, and many builds of Python load none.
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
    """One way to search. Every operation may raise CatalogueUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nearest(
        self, weights_id: str, query: NDArray[np.float32], count: int, min_score: float = -1.0
    ) -> list[Hit]:
        """The `count` best images whose score is at least `min_score`, the best first, of equals the older.

        Args:
            weights_id: the weights that made `query`; vectors of others are not looked at.
            query: (d,) float32, of any length but zero.
            count: at least 1.
            min_score: cosine similarity, -1–1.

        Raises:
            InvalidVector: the query is not finite, zero, or of another dimension than these weights' vectors.
        """
        to_bytes(query)
        hits = await self._nearest(weights_id, query, count)
        return [hit for hit in hits if hit.score >= min_score]

    @abstractmethod
    async def _nearest(self, weights_id: str, query: NDArray[np.float32], count: int) -> list[Hit]: ...

    async def _read(
        self, session: AsyncSession, weights_id: str, ids: Sequence[int]
    ) -> list[tuple[int, NDArray[np.float32]]]:
        """The stored vectors of those ids, which in a transaction that writes nobody deletes meanwhile."""
        query = select(VectorRow.image_id, VectorRow.values).where(
            VectorRow.weights_id == weights_id, VectorRow.image_id.in_(ids)
        )
        rows = await session.execute(query.with_for_update(read=True, key_share=True))
        return [(image_id, from_bytes(values)) for image_id, values in rows]

    async def _dimensions(self, session: AsyncSession, weights_id: str) -> int | None:
        """The length of these weights' vectors, None without one."""
        return await session.scalar(select(VectorRow.dimensions).where(VectorRow.weights_id == weights_id).limit(1))

    def _check_dimensions(self, weights_id: str, query: NDArray[np.float32], dimensions: int) -> None:
        if len(query) != dimensions:
            raise InvalidVector(f"The query has {len(query)} dimensions, the vectors of {weights_id} {dimensions}.")
