"""Every way to search gives the result of comparing with every vector of the same weights."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert, text

from deployments.catalogue.errors import InvalidVector
from deployments.catalogue.records import Hit, Result
from deployments.catalogue.search.base import Search
from deployments.catalogue.search.matrix import VectorMatrix
from deployments.catalogue.search.memory import MatrixSearch
from deployments.catalogue.search.pgvector import PgvectorSearch, open_search
from deployments.catalogue.search.vectors import to_bytes
from deployments.catalogue.sql.tables import VectorRow
from tests.services.catalogue.opened import Backend, House, opened

WAYS = ("sqlite, in memory", "postgresql, in memory", "postgresql, pgvector")
RANDOM = np.random.default_rng(7)


@pytest.fixture(params=WAYS)
async def searched(request: pytest.FixtureRequest) -> AsyncIterator[tuple[House, Search]]:
    """A catalogue and one way to search it."""
    fixture = "sqlite_backend" if request.param.startswith("sqlite") else "postgres_backend"
    async with opened(request.getfixturevalue(fixture)) as house:
        search = await open_search(house.database)
        if request.param == "postgresql, pgvector" and not isinstance(search, PgvectorSearch):
            pytest.skip("this PostgreSQL has no pgvector: name the bin/ of one that has in PANOPTES_POSTGRES_BIN")
        yield house, search if request.param == "postgresql, pgvector" else MatrixSearch(house.database)


async def store(house: House, vectors: NDArray[np.float32], weights_id: str, first: int = 1) -> None:
    rows = [
        {"weights_id": weights_id, "image_id": first + index, "dimensions": len(vector), "values": to_bytes(vector)}
        for index, vector in enumerate(vectors)
    ]
    async with house.database.writing() as session:
        await session.execute(insert(VectorRow), rows)


def brute_force(vectors: NDArray[np.float32], query: NDArray[np.float32], count: int) -> list[int]:
    exact, asked = vectors.astype(np.float64), query.astype(np.float64)
    scores = exact @ asked / np.linalg.norm(exact, axis=1) / np.linalg.norm(asked)
    return [int(index) + 1 for index in np.argsort(-scores, kind="stable")[:count]]


async def test_five_thousand_vectors_are_searched_as_by_brute_force(searched: tuple[House, Search]) -> None:
    house, search = searched
    await house.add_rows(5_000)
    vectors = RANDOM.normal(size=(5_000, 512)).astype(np.float32) * RANDOM.uniform(0.1, 10, (5_000, 1)).astype(
        np.float32
    )
    await store(house, vectors, "ours")
    await store(house, RANDOM.normal(size=(500, 64)).astype(np.float32), "another's")
    for query in RANDOM.normal(size=(20, 512)).astype(np.float32):
        hits = await search.nearest("ours", query, 10)
        assert [hit.image_id for hit in hits] == brute_force(vectors, query, 10)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    started = time.perf_counter()
    (best,) = await search.nearest("ours", vectors[1233] * 3, 1)
    assert time.perf_counter() - started < 1
    assert best.image_id == 1234
    assert best.score == pytest.approx(1, abs=1e-5)


async def test_weights_are_never_mixed_and_dimensions_must_fit(searched: tuple[House, Search]) -> None:
    house, search = searched
    await house.add_rows(4)
    await store(house, np.eye(3, dtype=np.float32), "three")
    await store(house, np.eye(2, dtype=np.float32), "two", first=3)
    north = np.array([0, 1], np.float32)
    assert await search.nearest("two", north, 10) == [Hit(4, 1.0), Hit(3, 0.0)]
    assert await search.nearest("three", np.array([0, 1, 0], np.float32), 1) == [Hit(2, 1.0)]
    assert await search.nearest("nobody's", north, 10) == []
    for weights_id, query in (
        ("three", north),
        ("two", np.zeros(2)),
        ("two", np.array([np.inf, 1])),
        ("two", np.eye(2)),
    ):
        with pytest.raises(InvalidVector):
            await search.nearest(weights_id, np.asarray(query, np.float32), 10)


async def test_results_follow_what_is_stored_and_deleted(searched: tuple[House, Search]) -> None:
    house, search = searched
    query = np.array([1, 0], np.float32)

    async def add(x: float, y: float) -> int:
        image = await house.add(name=f"{x} {y}.png")
        (lease,) = await house.queue.lease("w", 1, 60)
        await house.queue.complete(lease, Result(0.1, vectors={"m": np.array([x, y], np.float32)}))
        return image.id

    first, second = await add(2, 0), await add(1, 1)
    hits = await search.nearest("m", query, 5)
    assert [hit.image_id for hit in hits] == [first, second]
    assert hits[1].score == pytest.approx(0.5**0.5)
    third, opposite = await add(0.5, 0), await add(-1, 0)
    await house.catalogue.delete(second)
    hits = await search.nearest("m", query, 5)
    assert [(hit.image_id, round(hit.score, 6)) for hit in hits] == [(first, 1), (third, 1), (opposite, -1)]
    assert [hit.image_id for hit in await search.nearest("m", query, 5, min_score=0.5)] == [first, third]
    assert [hit.image_id for hit in await search.nearest("m", query, 1)] == [first]
    await house.embeddings.drop("m")
    assert await search.nearest("m", query, 5) == []


async def test_searches_side_by_side_with_deletions(searched: tuple[House, Search]) -> None:
    house, search = searched
    await house.add_rows(40)
    await store(house, RANDOM.normal(size=(40, 16)).astype(np.float32), "m")
    query = RANDOM.normal(size=16).astype(np.float32)

    async def delete() -> None:
        for image_id in range(1, 21):
            await house.catalogue.delete(image_id)

    searches = [search.nearest("m", query, 50) for _ in range(20)]
    deletions = asyncio.create_task(delete())
    answers = await asyncio.gather(*searches)
    await deletions
    assert all(20 <= len(hits) <= 40 for hits in answers)
    assert {hit.image_id for hit in await search.nearest("m", query, 50)} == set(range(21, 41))


async def test_a_catalogue_is_re_embedded_with_other_weights(folder_backend: Backend) -> None:
    async with opened(folder_backend) as house:
        await house.add_rows(30)
        async with house.database.writing() as session:
            await session.execute(text("UPDATE images SET status = 'processed' WHERE id <= 25"))
        await house.embeddings.add("old", {1: np.ones(2, np.float32)})
        after, moved = 0, 0
        while missing := await house.embeddings.missing("new", 10, after):
            after = missing[-1][0]
            if moved == 0:
                await house.catalogue.delete(3)  # while its vector is computed
            moved += await house.embeddings.add("new", {image_id: np.ones(3, np.float32) for image_id, _ in missing})
        assert moved == 24
        assert await house.embeddings.missing("new", 10) == []
        assert len(await MatrixSearch(house.database).nearest("new", np.ones(3, np.float32), 99)) == 24
        (old,) = await MatrixSearch(house.database).nearest("old", np.ones(2, np.float32), 99)
        assert old.image_id == 1


def test_a_matrix_grows_and_shrinks_and_breaks_ties_by_id() -> None:
    matrix = VectorMatrix(4)
    vectors = RANDOM.normal(size=(3_000, 4)).astype(np.float32)
    vectors[::100] = [1e-30, 0, 0, 0]
    for start in range(0, 3_000, 700):
        matrix.add(np.arange(start, min(start + 700, 3_000))[::-1], vectors[start : start + 700][::-1])
    ids, scores = matrix.nearest(np.array([1e30, 0, 0, 0], np.float32), 5)
    assert (ids.tolist(), scores.tolist()) == ([0, 100, 200, 300, 400], [1.0] * 5)
    matrix.keep(np.arange(50, 5_000))
    assert sorted(matrix.ids) == list(range(50, 3_000))
    assert matrix.nearest(np.array([1, 0, 0, 0], np.float32), 2)[0].tolist() == [100, 200]
