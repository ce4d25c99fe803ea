"""The batcher: waiting items run together, a bad item fails alone, a departed caller's item is skipped."""

import asyncio
import threading

import pytest

from deployments.runtime.batching import Batcher


class Recorder:
    """A model that doubles numbers, records its batches, and can be paused."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.go.wait(10)
        if -1 in items:
            raise ValueError("bad item")
        return [2 * item for item in items]


async def hold_first(model: Recorder, batcher: Batcher[int, int]) -> asyncio.Task[list[int]]:
    """Occupy the model with one item, so that later items have to wait."""
    model.go.clear()
    first = asyncio.create_task(batcher.submit([0]))
    while not model.batches:
        await asyncio.sleep(0.001)
    return first


async def test_a_single_item_does_not_wait() -> None:
    model = Recorder()
    assert await Batcher(model, 8).submit([21]) == [42]
    assert model.batches == [[21]]


async def test_items_that_arrive_while_the_model_computes_form_the_next_batches() -> None:
    model = Recorder()
    batcher = Batcher(model, 4)
    first = await hold_first(model, batcher)
    waiting = [asyncio.create_task(batcher.submit([item])) for item in range(1, 7)]
    await asyncio.sleep(0)
    assert batcher.waiting == 6
    model.go.set()
    assert await asyncio.gather(first, *waiting) == [[0], [2], [4], [6], [8], [10], [12]]
    assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_one_request_larger_than_a_batch_is_split_and_keeps_its_order() -> None:
    model = Recorder()
    assert await Batcher(model, 4).submit(list(range(10))) == [2 * item for item in range(10)]
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


async def test_a_bad_item_fails_alone() -> None:
    model = Recorder()
    batcher = Batcher(model, 4)
    first = await hold_first(model, batcher)
    tasks = [asyncio.create_task(batcher.submit([item])) for item in (1, -1, 3)]
    await asyncio.sleep(0)
    model.go.set()
    results = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert results[1] == [2]
    assert isinstance(results[2], ValueError)
    assert results[3] == [6]
    assert await batcher.submit([5]) == [10]


async def test_an_item_whose_caller_left_is_not_computed() -> None:
    model = Recorder()
    batcher = Batcher(model, 4)
    first = await hold_first(model, batcher)
    gone, stays = asyncio.create_task(batcher.submit([7, 8])), asyncio.create_task(batcher.submit([9]))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    model.go.set()
    assert list(await asyncio.gather(first, stays)) == [[0], [18]]
    assert model.batches == [[0], [9]]


async def test_the_event_loop_stays_free_while_the_model_computes() -> None:
    model = Recorder()
    batcher = Batcher(model, 4)
    first = await hold_first(model, batcher)
    await asyncio.wait_for(asyncio.sleep(0.01), 1)
    assert not first.done()
    model.go.set()
    await first
