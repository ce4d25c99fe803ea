"""Drawn compositions: their score is the formula that is stated."""

from dataclasses import replace

import numpy as np
import pytest

from training.drawing.families.composition import LARGEST, SMALLEST, WEIGHTS, Composition, compose
from training.quality.evaluation import composed_scenes

PERFECT = Composition(
    centre=(1 / 3, 2 / 3),
    extent=(0.2, 0.2),
    mirrored=False,
    skyline=1 / 3,
    tilt=0,
    hues=(30, 210),
    clutter=0,
    tones=(0.2, 0.8),
)


def test_a_picture_with_everything_right_scores_10() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert PERFECT.score() == pytest.approx(10)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"centre": (0.5, 0.25)}, "placement"),
        ({"centre": (0.05, 2 / 3)}, "wholeness"),
        ({"skyline": 0.5}, "horizon"),
        ({"tilt": -9}, "level"),
        ({"hues": (350, 95)}, "harmony"),
        ({"clutter": 16}, "calm"),
        ({"tones": (0.5, 0.55)}, "contrast"),
    ],
)
def test_each_fault_costs_its_part(change: dict[str, object], part: str) -> None:
    faulty = replace(PERFECT, **change)  # type: ignore[arg-type]
    assert faulty.parts()[part] < 0.5
    assert faulty.score() <= 10 - 9 * WEIGHTS[part] / 2


def test_the_middle_is_right_where_both_halves_are_alike() -> None:
    centred = replace(PERFECT, centre=(0.5, 0.6))
    assert centred.parts()["placement"] < 0.5
    assert replace(centred, mirrored=True).parts()["placement"] == 1


def test_scores_spread_over_the_scale() -> None:
    scores = [compose(np.random.default_rng(seed)).score() for seed in range(60)]
    assert all(1 <= score <= 10 for score in scores)
    assert min(scores) < 4
    assert max(scores) > 8


def test_pictures_are_the_same_from_the_same_seed() -> None:
    scenes, again, other = (list(composed_scenes(6, seed)) for seed in (3, 3, 4))
    for one, two, three in zip(scenes, again, other, strict=True):
        assert one.image.mode == "RGB"
        assert SMALLEST <= one.image.width == one.image.height < LARGEST
        assert one.score == two.score != three.score
        assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
