"""Images on every database and store: added, listed, counted, shared and deleted."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.catalogue.errors import ContentMissing, ImageNotFound, InvalidCursor, StoreFull
from deployments.catalogue.records import Facts, Result
from deployments.catalogue.store.base import jpeg_key, keys_of, original_key, thumbnail_key
from deployments.catalogue.store.content import Content
from deployments.models.tagger.answers import Tag
from tests.services.catalogue.opened import FACTS, House, opened, sha256

NAMES = [
    ("../../etc/passwd", "passwd"),
    ("C:\\Users\\me\\cat.JPG", "cat.JPG"),
    ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
    ("пейзаж 画像 🖼️.png", "пейзаж 画像 🖼️.png"),
    (None, "unnamed"),
    ("..", "unnamed"),
    ("a\0b\r\nc\u202egpj.exe\ud800", "ab cgpj.exe"),
    ("<script>alert(1)</script>'; DROP TABLE images;--.png", "script>'; DROP TABLE images;--.png"),
]


async def test_an_added_image_is_there_with_its_file(house: House) -> None:
    added = await house.catalogue.add("a.jpg", b"its bytes", Facts("JPEG", 640, 480))
    async with opened(house.backend) as other:
        found = await other.catalogue.get(added.id)
        assert await other.store.get(original_key(found.sha256)) == b"its bytes"
        assert b"".join([part async for part in other.store.stream(original_key(found.sha256), 2, 6)]) == b"s by"
    assert found == added
    assert (found.status, found.sha256, found.size_bytes) == ("processing", sha256(b"its bytes"), 9)
    assert (found.created_at, found.facts) == (house.clock.now, Facts("JPEG", 640, 480))
    assert found.created_at.tzname() == "UTC"


@pytest.mark.parametrize(("name", "kept"), NAMES, ids=range(len(NAMES)))
async def test_hostile_names_are_kept_as_text(folder_house: House, name: str | None, kept: str) -> None:
    added = await folder_house.catalogue.add(name, b"x", FACTS)
    assert (await folder_house.catalogue.get(added.id)).filename == kept


async def test_pages_have_every_image_once_while_others_come_and_go(house: House) -> None:
    ids = [(await house.add(number)).id for number in range(10)]
    seen, cursor = [], None
    for page_number in range(10):
        page = await house.catalogue.list(limit=3, cursor=cursor)
        seen += [image.id for image in page.images]
        cursor = page.next_cursor
        if page_number == 0:
            await house.catalogue.delete(ids[2])  # the image that the cursor names
            await house.add(99)
        if cursor is None:
            break
    assert seen[:10] == ids
    assert len(seen) == 11
    newest = await house.catalogue.list(limit=2, order="newest")
    assert [image.id for image in newest.images] == [seen[-1], ids[9]]
    after = await house.catalogue.list(limit=2, order="newest", cursor=newest.next_cursor)
    assert [image.id for image in after.images] == [ids[8], ids[7]]
    with pytest.raises(InvalidCursor):
        await house.catalogue.list(cursor=newest.next_cursor, order="oldest")


@pytest.mark.parametrize("cursor", ["", "x", "é", "b2xkZXN0OjA", "b2xkZXN0Oi0x", "b2xkZXN0OjE7IERST1A", "A" * 5000])
async def test_an_invalid_cursor_is_refused(sqlite_house: House, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await sqlite_house.catalogue.list(cursor=cursor)


async def test_a_list_by_status_and_the_last_page_has_no_cursor(house: House) -> None:
    ids = [(await house.add(number)).id for number in range(4)]
    for lease in await house.queue.lease("w", 2, 60):
        await house.queue.complete(lease, Result(0.5, caption="a thing", tags=(Tag("cup", 0.5),)))
    page = await house.catalogue.list(limit=2, status="processed")
    assert ([image.id for image in page.images], page.next_cursor) == (ids[:2], None)
    assert page.images[0].tags == (Tag("cup", 0.5),)
    assert [image.id for image in (await house.catalogue.list(status="processing")).images] == ids[2:]
    assert (await house.catalogue.list(status="failed")).images == []


async def test_the_same_file_many_times_at_once_is_one_file(house: House) -> None:
    images = await asyncio.gather(*(house.add(b"the same", name=f"{number}.png") for number in range(12)))
    assert len({image.id for image in images}) == 12
    assert {image.sha256 for image in images} == {sha256(b"the same")}
    key = original_key(images[0].sha256)
    await asyncio.gather(*(house.catalogue.delete(image.id) for image in images[:-1]))
    assert await house.store.get(key) == b"the same"
    await house.catalogue.delete(images[-1].id)
    with pytest.raises(ContentMissing):
        await house.store.get(key)


async def test_a_deleted_image_leaves_nothing(house: House) -> None:
    image = await house.add()
    for key in keys_of(image.sha256)[1:]:
        await house.store.put(key, b"small")
    await house.catalogue.delete(image.id)
    assert [await house.store.size(key) for key in keys_of(image.sha256)] == [None] * 4
    async with house.database.reading() as session:
        for table in ("images", "blobs", "vectors"):
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608
    for number in (image.id, 0, -1, 2**31, 2**70):
        with pytest.raises(ImageNotFound):
            await house.catalogue.get(number)
        with pytest.raises(ImageNotFound):
            await house.catalogue.delete(number)
    assert (await house.add()).id > image.id


async def test_adding_and_deleting_the_same_file_at_once_never_loses_it(house: House) -> None:
    async def add_and_delete(seed: int) -> int:
        chance = random.Random(seed)
        for _ in range(6):
            image = await house.add(b"contested")
            await asyncio.sleep(chance.random() * 0.01)
            assert await house.store.get(original_key(image.sha256)) == b"contested"
            await house.catalogue.delete(image.id)
        return (await house.add(b"contested")).id

    ids = await asyncio.gather(*(add_and_delete(seed) for seed in range(6)))
    assert [image.id for image in await house.catalogue.find(ids)] == ids
    assert await house.store.get(original_key(sha256(b"contested"))) == b"contested"


async def test_an_add_waits_for_the_removal_of_its_file_even_a_cancelled_one_and_brings_it_again(
    folder_house: House,
) -> None:
    house = folder_house
    image = await house.add(b"contested")
    removal, entered, go_on = house.store.delete, asyncio.Event(), asyncio.Event()

    async def slow(key: str) -> None:
        entered.set()
        await go_on.wait()
        await removal(key)

    house.store.delete = slow  # type: ignore[method-assign]
    deletion = asyncio.create_task(house.catalogue.delete(image.id))
    await entered.wait()
    deletion.cancel()
    addition = asyncio.create_task(house.add(b"contested"))
    await asyncio.sleep(0.1)
    assert not addition.done()
    go_on.set()
    added = await addition
    assert deletion.cancelled()
    assert await house.store.get(original_key(added.sha256)) == b"contested"


async def test_the_store_is_not_called_inside_a_database_transaction(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, transactions, asked = house.database.writing, 0, list[int]()

    @asynccontextmanager
    async def counted() -> AsyncIterator[AsyncSession]:
        nonlocal transactions
        async with writing() as session:
            transactions += 1
            yield session
            transactions -= 1

    def watched(work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asking(*arguments: Any) -> Any:
            asked.append(transactions)
            return await work(*arguments)

        return asking

    monkeypatch.setattr(house.database, "writing", counted)
    for name in ("size", "put"):
        monkeypatch.setattr(house.store, name, watched(getattr(house.store, name)))
    first, second = await house.add(b"twice"), await house.add(b"twice")
    assert (first.sha256, first.id) == (second.sha256, second.id - 1)
    assert asked == [0] * 5  # size, put, size; size, size


def remove_behind_its_back(house: House, patched: pytest.MonkeyPatch, then: Callable[[], Awaitable[None]]) -> None:
    """Make the store lose the added file at its second size query; `then` runs before the file is stored again."""
    put, delete, asked = house.store.put, house.store.delete, 0

    async def size(key: str) -> int | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            await delete(key)
        return None

    async def bring(key: str, data: bytes) -> None:
        if asked == 2:
            await then()
        await put(key, data)

    patched.setattr(house.store, "size", size)
    patched.setattr(house.store, "put", bring)


async def test_a_file_that_was_removed_and_does_not_fit_again_has_no_image(
    folder_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full() -> None:
        raise StoreFull("full")

    house = folder_house
    with monkeypatch.context() as patched:
        remove_behind_its_back(house, patched, full)
        with pytest.raises(StoreFull):
            await house.add(b"contested")
    assert await house.store.size(original_key(sha256(b"contested"))) is None
    assert (await house.catalogue.stats()).total == 0


async def test_an_image_that_is_deleted_before_its_file_is_brought_again_leaves_nothing(
    folder_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = folder_house

    async def delete() -> None:
        await house.catalogue.delete(1)

    with monkeypatch.context() as patched:
        remove_behind_its_back(house, patched, delete)
        await house.add(b"contested")
    assert await house.store.size(original_key(sha256(b"contested"))) is None
    assert (await house.catalogue.stats()).total == 0


async def test_an_interrupted_deletion_is_finished_later(house: House) -> None:
    image = await house.add()
    async with house.database.writing() as session:
        await session.execute(text("DELETE FROM images"))
    assert await house.catalogue.tidy() == 1
    assert await house.store.size(original_key(image.sha256)) is None
    assert await house.catalogue.tidy() == 0


async def test_statistics_are_those_of_the_rows_and_quick_over_ten_thousand(folder_house: House) -> None:
    house, chance = folder_house, random.Random(1)
    empty = await house.catalogue.stats()
    assert (empty.total, empty.average_processing_time_s, empty.success_rate, empty.failure_rate) == (0, 0, 0, 0)
    await house.add_rows(10_000)
    images = [
        (number, chance.choice(["processed", "failed", "processing"]), chance.random()) for number in range(1, 10_001)
    ]
    rows = [
        {"id": number, "status": status, "time": time if status == "processed" else None}
        for number, status, time in images
    ]
    async with house.database.writing() as session:
        await session.execute(
            text("UPDATE images SET status = :status, processing_time_s = :time WHERE id = :id"), rows
        )
    stats = await house.catalogue.stats()
    times = [row["time"] for row in rows if row["status"] == "processed"]
    failed = sum(row["status"] == "failed" for row in rows)
    assert (stats.processed, stats.failed, stats.total) == (len(times), failed, 10_000)
    assert stats.average_processing_time_s == pytest.approx(sum(times) / len(times))  # type: ignore[arg-type]
    assert stats.success_rate == pytest.approx(len(times) / (len(times) + failed))
    assert stats.success_rate + stats.failure_rate == pytest.approx(1)
    best = min([await _seconds(house) for _ in range(5)])
    assert best < 0.05


async def _seconds(house: House) -> float:
    started = time.perf_counter()
    await house.catalogue.stats()
    return time.perf_counter() - started


async def test_a_thumbnail_that_comes_too_late_is_removed(house: House) -> None:
    content = Content(house.database, house.store)
    key = thumbnail_key(sha256(b"gone"), "small")
    await house.store.put(key, b"small")
    await content.collect(sha256(b"gone"))
    assert await house.store.size(key) is None


async def test_a_jpeg_is_kept_with_its_file_and_removed_with_the_last_image_that_has_it(house: House) -> None:
    first, second = await house.add(), await house.add()
    key = jpeg_key(first.sha256)
    await house.catalogue.keep_jpeg(first, b"shown")
    await house.catalogue.delete(first.id)
    with pytest.raises(ImageNotFound):
        await house.catalogue.keep_jpeg(first, b"shown")
    assert await house.store.get(key) == b"shown"
    await house.catalogue.delete(second.id)
    assert await house.store.size(key) is None
    with pytest.raises(ImageNotFound):
        await house.catalogue.keep_jpeg(second, b"shown too late")
    assert await house.store.size(key) is None
