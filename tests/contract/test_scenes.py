"""A sample of the evaluation: a wrong colour order, resize or normalisation anywhere on the path fails here."""

import httpx

from testbed.accuracy.scenes import ask_categorize, ask_classify, ask_colours

SEED = 77_001


def test_drawn_scenes_are_classified(api: httpx.Client) -> None:
    assert ask_classify(api, count=90, seed=SEED).share >= 0.95


def test_drawn_scenes_are_categorized(api: httpx.Client) -> None:
    assert ask_categorize(api, count=96, seed=SEED).share >= 0.90


def test_colours_are_distinguished(api: httpx.Client) -> None:
    assert ask_colours(api, count=48, seed=SEED).share >= 0.85
