"""Captions of arrangements, and their way back."""

from collections import Counter

import numpy as np
import pytest

from training.drawing.families.arrangement import Thing, arranged
from training.drawing.wording import caption, class_of, groups, parsed, scene_caption, vocabulary
from training.scenes import KINDS

BOX = (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("things", "text"),
    [
        ([("car", "red")], "a red car"),
        ([("star", "orange")], "an orange star"),
        ([("tree", "green"), ("star", "blue"), ("car", "red"), ("star", "blue")],
         "a red car, two blue stars and a green tree"),
        ([("fish", "grey")] * 5, "five grey fish"),
        ([("cup", "white"), ("cup", "black")], "a black cup and a white cup"),
    ],
)  # fmt: skip
def test_a_caption_counts_what_looks_alike(things: list[tuple[str, str]], text: str) -> None:
    counts = groups(Thing(name, colour, BOX) for name, colour in things)
    assert caption(counts) == text
    assert parsed(text) == counts == Counter(things)


def test_every_arrangement_can_be_read_back_from_its_caption() -> None:
    known = set(vocabulary())
    for seed in range(30):
        counts = groups(arranged(np.random.default_rng(seed)).things)
        text = caption(counts)
        assert parsed(text) == counts
        assert set(text.replace(",", " ,").split()) <= known


@pytest.mark.parametrize("text", ["", "a street map", "a red", "red car", "a car red", "a red car,", "six red cars"])
def test_anything_else_is_no_caption_of_things(text: str) -> None:
    assert parsed(text) is None


def test_every_kind_of_scene_has_words_for_it() -> None:
    known = set(vocabulary())
    assert class_of("map/dark") == class_of("map/carto") == "street map"
    assert class_of("drawing/car") == "car"
    assert scene_caption("page") == "a page of text"
    assert scene_caption("aerial/woods") == "an aerial view of woods"
    assert scene_caption("photo/bokeh") == "blurred lights"
    for kind in KINDS:
        assert "/" not in class_of(kind) or kind == "drawing/several"
        if not kind.startswith("drawing/"):
            assert set(scene_caption(kind).split()) <= known
