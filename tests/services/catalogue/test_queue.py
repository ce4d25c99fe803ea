"""The queue on every database: images are leased once, taken over, retried, given up, finished only by the holder."""

import asyncio
from collections import Counter
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from sqlalchemy import text

from deployments.catalogue.errors import ImageNotFound, InvalidVector, LeaseLost
from deployments.catalogue.queue import Retries
from deployments.catalogue.records import Backlog, Result
from deployments.catalogue.store.base import original_key, thumbnail_key
from deployments.models.tagger.answers import Tag
from tests.services.catalogue.opened import Backend, House, opened

DONE = Result(0.25)


async def test_many_workers_lease_each_image_once(folder_house: House) -> None:
    await folder_house.add_rows(300)

    async def work(name: str, house: House) -> list[int]:
        mine: list[int] = []
        while leases := await house.queue.lease(name, 7, 60):
            mine += [lease.image_id for lease in leases]
            for lease in leases[::2]:
                await house.queue.complete(lease, DONE)
        return mine

    async with opened(folder_house.backend) as second, opened(folder_house.backend) as third:
        houses = [folder_house, second, third]
        taken = await asyncio.gather(*(work(f"w{number}", houses[number % 3]) for number in range(12)))
    counts = Counter(image_id for mine in taken for image_id in mine)
    assert len(counts) == 300
    assert set(counts.values()) == {1}


async def test_a_lease_takes_the_oldest_images_and_no_more_than_requested(house: House) -> None:
    ids = [(await house.add(number)).id for number in range(5)]
    first = await house.queue.lease("w", 2, 60)
    assert [lease.image_id for lease in first] == ids[:2]
    assert [lease.image_id for lease in await house.queue.lease("w", 9, 60)] == ids[2:]
    assert await house.queue.lease("w", 9, 60) == []
    assert (first[0].attempt, first[0].holder.startswith("w/")) == (1, True)


async def test_results_are_stored(house: House) -> None:
    image = await house.add()
    (lease,) = await house.queue.lease("w", 1, 60)
    house.clock.pass_(3)
    tags = (Tag("cup", 0.75), Tag("table", 0.125))
    exif = {"Make": "Å <b>", "ExposureTime": 0.004, "LensSpecification": [1, 2.5, None]}
    await house.queue.complete(lease, Result(2.5, exif, "a cup", tags, {"m": np.array([3, 4], np.float32)}))
    found = await house.catalogue.get(image.id)
    assert (found.status, found.caption, found.tags, found.exif) == ("processed", "a cup", tags, exif)
    assert (found.processed_at, found.processing_time_s, found.error) == (house.clock.now, 2.5, None)
    assert await house.queue.backlog() == Backlog(0, 0, 0)


async def test_an_expired_lease_is_taken_over_and_its_holder_refused(house: House) -> None:
    image = await house.add()
    (stale,) = await house.queue.lease("w", 1, 60)
    house.clock.pass_(59)
    assert await house.queue.lease("w", 1, 60) == []
    house.clock.pass_(1)
    (fresh,) = await house.queue.lease("w", 1, 60)  # a worker's own next lease is a different one, too
    assert (fresh.image_id, fresh.attempt) == (image.id, 2)
    for late in (
        house.queue.complete(stale, Result(9, caption="stale", vectors={"m": np.ones(2, np.float32)})),
        house.queue.extend(stale, 60),
        house.queue.fail(stale, "late"),
        house.queue.release(stale),
    ):
        with pytest.raises(LeaseLost):
            await late
    await house.queue.complete(fresh, Result(0.5, caption="fresh"))
    with pytest.raises(LeaseLost):
        await house.queue.complete(fresh, Result(0.5, caption="twice"))
    assert (await house.catalogue.get(image.id)).caption == "fresh"
    async with house.database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM vectors")) == 0


async def test_a_lease_can_be_finished_only_once(folder_house: House) -> None:
    await folder_house.add()
    (lease,) = await folder_house.queue.lease("w", 1, 60)
    finished = [folder_house.queue.complete(lease, DONE) for _ in range(8)]
    outcomes = await asyncio.gather(*finished, return_exceptions=True)
    assert Counter(map(type, outcomes)) == {type(None): 1, LeaseLost: 7}


async def test_an_extended_lease_is_not_taken_and_a_late_holder_may_finish_what_nobody_took(house: House) -> None:
    image = await house.add()
    (lease,) = await house.queue.lease("w", 1, 60)
    house.clock.pass_(50)
    longer = await house.queue.extend(lease, 60)
    house.clock.pass_(50)
    assert await house.queue.lease("other", 1, 60) == []
    house.clock.pass_(1000)
    await house.queue.complete(longer, DONE)
    assert (await house.catalogue.get(image.id)).status == "processed"


async def test_a_failure_waits_longer_each_time_and_the_last_is_the_end(backend: Backend) -> None:
    async with opened(backend, retries=Retries(max_attempts=4, first_delay_s=10, longest_delay_s=35)) as house:
        image = await house.add()
        for attempt, longest in ((1, 10), (2, 20), (3, 35)):
            (lease,) = await house.queue.lease("w", 1, 60)
            assert lease.attempt == attempt
            assert await house.queue.fail(lease, f"attempt {attempt}") is True
            assert (await house.catalogue.get(image.id)).error == f"attempt {attempt}"
            assert await house.queue.backlog() == Backlog(0, 0, 1)
            house.clock.pass_(longest / 2 - 0.01)
            assert await house.queue.lease("w", 1, 60) == []
            house.clock.pass_(longest / 2 + 0.02)
            assert await house.queue.backlog() == Backlog(1, 0, 0)
        (lease,) = await house.queue.lease("w", 1, 60)
        assert await house.queue.fail(lease, "no\0\nuse " + "x" * 2000) is False
        failed = await house.catalogue.get(image.id)
        assert (failed.status, failed.attempts, failed.processed_at) == ("failed", 4, house.clock.now)
        assert failed.error == ("no use " + "x" * 2000)[:1000]
        house.clock.pass_(10_000)
        assert await house.queue.lease("w", 1, 60) == []
        assert (await house.catalogue.stats()).failed == 1
        assert await house.queue.backlog() == Backlog(0, 0, 0, failed=1)


async def test_an_image_that_kills_its_workers_is_given_up(backend: Backend) -> None:
    async with opened(backend, retries=Retries(max_attempts=3)) as house:
        image, other = await house.add(1), await house.add(2)
        (kept,) = [each for each in await house.queue.lease("w", 2, 60) if each.image_id == other.id]
        await house.queue.complete(kept, DONE)
        for _ in range(2):
            house.clock.pass_(61)
            assert len(await house.queue.lease("w", 1, 60)) == 1
        assert await house.queue.backlog() == Backlog(0, 1, 0)
        house.clock.pass_(61)
        assert await house.queue.lease("w", 1, 60) == []
        failed = await house.catalogue.get(image.id)
        assert (failed.status, failed.error) == (
            "failed",
            "Given up after 3 attempts: in the last one the worker ended.",
        )


async def test_a_failure_may_be_final_or_ask_for_its_own_wait(house: House) -> None:
    image, other = await house.add(1), await house.add(2)
    first, second = await house.queue.lease("w", 2, 60)
    assert await house.queue.fail(first, "broken", final=True) is False
    assert (await house.catalogue.get(image.id)).status == "failed"
    assert await house.queue.fail(second, "busy", retry_after_s=120) is True
    house.clock.pass_(119)
    assert await house.queue.lease("w", 1, 60) == []
    house.clock.pass_(1)
    assert [lease.image_id for lease in await house.queue.lease("w", 1, 60)] == [other.id]


async def test_a_released_image_has_its_attempt_back(house: House) -> None:
    await house.add()
    for _ in range(10):
        (lease,) = await house.queue.lease("w", 1, 60)
        assert lease.attempt == 1
        await house.queue.release(lease, 5)
        assert await house.queue.lease("w", 1, 60) == []
        house.clock.pass_(5)


def test_the_wait_doubles_up_to_its_limit_and_differs() -> None:
    retries = Retries(first_delay_s=2, longest_delay_s=300)
    for attempt in (1, 2, 5, 9, 1000):
        whole = min(300, 2 * 2 ** min(attempt - 1, 60))
        delays = [retries.delay_s(attempt) for _ in range(400)]
        assert whole / 2 <= min(delays) < max(delays) <= whole
        assert mean(delays) == pytest.approx(0.75 * whole, rel=0.05)


async def test_vectors_that_cannot_be_compared_are_refused_and_nothing_is_written(house: House) -> None:
    image = await house.add()
    (lease,) = await house.queue.lease("w", 1, 60)
    for bad in ([0, 0], [np.nan, 1], [[1, 2]]):
        with pytest.raises(InvalidVector):
            await house.queue.complete(lease, replace(DONE, vectors={"m": np.array(bad, np.float32)}))
    assert (await house.catalogue.get(image.id)).status == "processing"
    await house.queue.complete(lease, DONE)


async def test_an_image_deleted_while_it_is_processed_leaves_no_thumbnail(house: House) -> None:
    image = await house.add()
    (lease,) = await house.queue.lease("w", 1, 60)
    await house.catalogue.delete(image.id)
    await house.store.put(thumbnail_key(lease.sha256, "small"), b"late")
    with pytest.raises(LeaseLost):
        await house.queue.complete(lease, DONE)
    assert await house.store.size(thumbnail_key(lease.sha256, "small")) is None
    assert await house.store.size(original_key(lease.sha256)) is None
    with pytest.raises(ImageNotFound):
        await house.catalogue.get(image.id)
