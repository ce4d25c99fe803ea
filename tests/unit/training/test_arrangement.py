"""Arranged scenes: the things are where their boxes say, apart from one another, and the same from the same seed."""

from itertools import combinations

import numpy as np
import pytest

from training.drawing.colours import NAMED
from training.drawing.families.arrangement import MOST, NAMES, Arrangement, Stock, arranged, stocked


@pytest.fixture(scope="module")
def stock() -> Stock:
    return stocked(np.random.default_rng(4), each=3, grounds=4)


def many(stock: Stock | None, number: int) -> list[Arrangement]:
    return [arranged(np.random.default_rng(seed), stock=stock) for seed in range(number)]


@pytest.mark.parametrize("count", range(1, MOST + 1))
def test_a_scene_is_the_same_from_the_same_seed_and_has_so_many_things(count: int) -> None:
    scene, again = (arranged(np.random.default_rng(7), count) for _ in range(2))
    other = arranged(np.random.default_rng(8), count)
    assert scene.things == again.things
    assert scene.image.tobytes() == again.image.tobytes()
    assert scene.things != other.things
    assert len(scene.things) == len(other.things) == count
    assert scene.image.mode == "RGB"


def test_things_lie_in_the_picture_and_apart(stock: Stock) -> None:
    for scene in many(stock, 60):
        for thing in scene.things:
            left, top, right, bottom = thing.box
            assert thing.name in NAMES
            assert thing.colour in NAMED
            assert 0 <= left < right <= scene.image.width
            assert 0 <= top < bottom <= scene.image.height
            assert max(right - left, bottom - top) > 0.12 * min(scene.image.size)
        for one, other in combinations((thing.box for thing in scene.things), 2):
            assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]


def test_a_box_holds_what_differs_from_the_ground() -> None:
    for seed in range(12):
        scene = arranged(np.random.default_rng(seed), 1)
        left, top, right, bottom = (int(edge) for edge in scene.things[0].box)
        pixels = np.asarray(scene.image, float)
        inside = pixels[(top + bottom) // 2, left:right].mean(axis=0)
        assert np.abs(inside - pixels[:3].mean(axis=(0, 1))).sum() > 40, seed


def test_all_names_and_counts_come_up_and_names_repeat(stock: Stock) -> None:
    scenes = many(stock, 200)
    assert {len(scene.things) for scene in scenes} == set(range(1, MOST + 1))
    assert {thing.name for scene in scenes for thing in scene.things} == set(NAMES)
    repeated = sum(len({thing.name for thing in scene.things}) < len(scene.things) for scene in scenes)
    assert 0.2 < repeated / len(scenes) < 0.8
