"""The drawn scenes: the same from the same seed, told apart by split, and with captions that fit."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import configs
from training.clip.evaluation import COLOUR_CHOICES, LABEL_KINDS, colour_cases, fresh_scenes, labelled_scenes
from training.scenes import CATEGORIES, KINDS, Scene, Split, draw_scene, generator

PROMPTS = yaml.safe_load((Path(configs.__file__).parent / "prompts.yaml").read_text())


def same(first: Scene, second: Scene) -> bool:
    return (
        first.kind == second.kind
        and first.captions == second.captions
        and first.image.size == second.image.size
        and np.array_equal(np.asarray(first.image), np.asarray(second.image))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_the_same_picture_from_the_same_seed(kind: str) -> None:
    scene = draw_scene(7, kind)
    assert scene.image.mode == "RGB"
    assert min(scene.image.size) >= 60
    assert np.asarray(scene.image).std() > 1
    assert scene.category == KINDS[kind].category
    assert len(set(scene.captions)) == len(scene.captions)
    assert same(scene, draw_scene(7, kind))
    assert not same(scene, draw_scene(8, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_captions_agree_with_label_and_category(kind: str) -> None:
    scene = draw_scene(11, kind)
    prompts = PROMPTS["classifier"]["default"]
    assert set(scene.captions) & set(prompts[scene.category])
    for other in set(CATEGORIES) - {scene.category}:
        assert not set(scene.captions) & set(prompts[other])
    assert set(scene.captions) & set(PROMPTS["categories"]) == ({scene.label} if scene.label else set())


def test_training_and_evaluation_draw_from_different_seeds() -> None:
    streams = {generator(split, seed, index).bytes(16) for split in Split for seed in range(8) for index in range(64)}
    assert len(streams) == len(Split) * 8 * 64


def test_fresh_scenes_are_balanced_over_the_categories() -> None:
    scenes = list(fresh_scenes(30, seed=3))
    assert [scene.category for scene in scenes] == list(CATEGORIES) * 10
    assert all(same(one, two) for one, two in zip(scenes, fresh_scenes(30, seed=3), strict=True))
    assert not any(same(one, two) for one, two in zip(scenes, fresh_scenes(30, seed=4), strict=True))


def test_labelled_scenes_are_balanced_over_the_default_categories() -> None:
    assert list(LABEL_KINDS) == PROMPTS["categories"]
    assert [scene.label for scene in labelled_scenes(24, seed=3)] == PROMPTS["categories"] * 2


def test_a_colour_case_names_its_colour_once() -> None:
    for number, case in enumerate(colour_cases(12, seed=3)):
        assert case.answer == number % len(COLOUR_CHOICES)
        assert f" {COLOUR_CHOICES[case.answer]} " in case.captions[case.answer]
        assert len(set(case.captions)) == len(COLOUR_CHOICES)
