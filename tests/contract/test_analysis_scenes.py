"""A sample of the evaluation of photo analysis: a wrong colour order, scale or direction of a score fails here."""

import httpx

from testbed.accuracy.analysis import ask_aesthetics, ask_emotions, ask_quality

SEED = 31


def test_quality_follows_severity(api: httpx.Client) -> None:
    rankings = ask_quality(api, 60, SEED)
    assert rankings["BRISQUE, every kind of distortion"].correlation > 0.85
    assert rankings["NIMA technical, every kind of distortion"].correlation > 0.85


def test_aesthetics_follow_composition(api: httpx.Client) -> None:
    assert ask_aesthetics(api, 40, SEED).correlation > 0.6


def test_emotions_of_drawn_faces(api: httpx.Client) -> None:
    outcome = ask_emotions(api, 42, SEED)
    assert outcome.found >= 0.7 * outcome.total
    assert outcome.read.share >= 0.85
