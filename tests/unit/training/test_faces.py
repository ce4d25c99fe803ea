"""Drawn faces: the same from the same seed, another for every emotion."""

from itertools import combinations

import numpy as np
import pytest

from training.drawing.expressions import EMOTIONS, Emotion
from training.drawing.faces import draw_face
from training.emotion.evaluation import drawn_faces


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_face_is_the_same_from_the_same_seed_and_lies_in_its_picture(emotion: Emotion) -> None:
    face = draw_face(np.random.default_rng(7), emotion)
    again, other = draw_face(np.random.default_rng(7), emotion), draw_face(np.random.default_rng(8), emotion)
    assert face.emotion == emotion
    assert face.image.mode == "RGB"
    assert 200 <= face.image.width == face.image.height <= 320
    assert np.array_equal(np.asarray(face.image), np.asarray(again.image))
    small, other_small = (np.asarray(drawn.image.resize((64, 64))) for drawn in (face, other))
    assert not np.array_equal(small, other_small)
    left, top, right, bottom = face.box
    assert 0 <= left < right <= face.image.width
    assert 0 <= top < bottom <= face.image.height
    assert right - left == pytest.approx(bottom - top)


def test_every_emotion_looks_different() -> None:
    # The same person, picture and light: what differs is the face alone
    faces = {emotion: draw_face(np.random.default_rng(3), emotion) for emotion in EMOTIONS}
    for first, second in combinations(EMOTIONS, 2):
        assert faces[first].box == faces[second].box
        difference = np.asarray(faces[first].image, float) - np.asarray(faces[second].image, float)
        assert np.abs(difference).max() > 60, (first, second)


def test_faces_for_the_evaluation_take_the_emotions_in_turn() -> None:
    assert [face.emotion for face in drawn_faces(14, seed=2)] == list(EMOTIONS) * 2
