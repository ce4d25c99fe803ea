"""Distorted scenes: unchanged at severity 0, and more distorted the higher the severity."""

import numpy as np
import pytest
from PIL import Image

from training.drawing.chance import canvas_size
from training.drawing.distortions import KINDS, distorted
from training.quality.evaluation import degraded_scenes
from training.quality.scenes import LARGEST, SMALLEST, pristine


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return pristine(np.random.default_rng(1))


def distance(first: Image.Image, second: Image.Image) -> float:
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_severity_0_leaves_the_picture_alone(scene: Image.Image, kind: str) -> None:
    assert distance(scene, distorted(np.random.default_rng(0), scene, kind, 0)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_greater_severity_changes_more(scene: Image.Image, kind: str) -> None:
    changes = [
        distance(scene, distorted(np.random.default_rng(0), scene, kind, severity)) for severity in (0.2, 0.5, 0.8, 1)
    ]
    assert changes == sorted(changes)
    assert changes[0] > 0


def test_a_clean_scene_uses_all_tones_and_the_stated_sizes() -> None:
    for seed in range(6):
        picture = pristine(np.random.default_rng(seed))
        assert SMALLEST <= min(picture.size) < LARGEST * 4 / 3
        assert np.ptp(np.asarray(picture.convert("L"))) > 150


def test_scenes_are_the_same_from_the_same_seed_and_balanced_over_the_kinds() -> None:
    scenes = list(degraded_scenes(10, seed=3))
    assert [scene.kind for scene in scenes] == list(KINDS) * 2
    assert all(0 <= scene.severity <= 1 for scene in scenes)
    again, other = list(degraded_scenes(10, seed=3)), list(degraded_scenes(10, seed=4))
    assert all(one.severity == two.severity for one, two in zip(scenes, again, strict=True))
    for one, two in zip(scenes, again, strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
    assert not any(one.severity == two.severity for one, two in zip(scenes, other, strict=True))


def test_the_canvas_is_as_it_was_after_a_scene() -> None:
    pristine(np.random.default_rng(1))
    assert all(180 <= min(canvas_size(np.random.default_rng(seed))) < 300 for seed in range(5))
