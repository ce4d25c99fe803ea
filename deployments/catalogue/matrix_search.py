"""The search in the memory of one process."""

import asyncio

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.database import Database
from deployments.catalogue.matrix import VectorMatrix
from deployments.catalogue.records import Hit
from deployments.catalogue.search import READ_AT_ONCE, Search
from deployments.catalogue.tables import VectorRow


class MatrixSearch(Search):
    """In the memory of this process: 2 KB an image and weights id, for 512 dimensions."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._matrices: dict[str, VectorMatrix] = {}
        # A matrix is read and changed by one search at a time.
        self._turn = asyncio.Lock()

    async def _nearest(self, weights_id: str, query: NDArray[np.float32], count: int) -> list[Hit]:
        async with self._turn:
            matrix = await self._current(weights_id)
            if matrix is None:
                return []
            self._check_dimensions(weights_id, query, matrix.dimensions)
            ids, scores = await asyncio.to_thread(matrix.nearest, query, count)
        return [Hit(int(each), float(score)) for each, score in zip(ids, scores, strict=True)]

    async def _current(self, weights_id: str) -> VectorMatrix | None:
        """The matrix as the database is now, None without a vector of these weights."""
        async with self._database.reading() as session:
            there = await _ids(session, weights_id)
            if not len(there):
                self._matrices.pop(weights_id, None)
                return None
            matrix = self._matrices.get(weights_id)
            known = np.empty(0, np.int64) if matrix is None else matrix.ids
            new = np.setdiff1d(there, known, assume_unique=True)
            if matrix is not None:
                matrix.keep(there)
            for start in range(0, len(new), READ_AT_ONCE):
                read = await self._read(session, weights_id, new[start : start + READ_AT_ONCE].tolist())
                if matrix is None and read:
                    matrix = self._matrices[weights_id] = VectorMatrix(len(read[0][1]))
                if matrix is not None and read:
                    matrix.add(np.array([each for each, _ in read]), np.stack([vector for _, vector in read]))
        return matrix


async def _ids(session: AsyncSession, weights_id: str) -> NDArray[np.int64]:
    """(n,) ids of every image with a vector of these weights. As one text: a row each would take ten times as long."""
    joined = func.aggregate_strings(cast(VectorRow.image_id, Text), ",")
    ids = await session.scalar(select(joined).where(VectorRow.weights_id == weights_id))
    return np.fromstring(ids or "", np.int64, sep=",")
