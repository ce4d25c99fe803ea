"""The training of the emotion network: its pieces, and the file that it left in deployments/bundled."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from training.drawing.expressions import EMOTIONS
from training.emotion import train as emotion
from training.emotion.card import measure
from training.emotion.crops import as_seen, detected, drawn_square
from training.emotion.evaluation import drawn_faces
from training.emotion.network import SIDE, WEIGHTS, save

LARGEST = 1_500_000  # bytes


@pytest.fixture(scope="module")
def pool() -> emotion.Crops:
    return emotion.draw_crops(seed=1, first=0, count=21)


def test_faces_are_cut_out_as_the_network_takes_them(pool: emotion.Crops) -> None:
    assert pool.pixels.shape[1:] == (SIDE, SIDE, 1)
    assert pool.pixels.dtype == np.float32
    assert 0 <= pool.pixels.min() < pool.pixels.max() <= 1
    assert set(pool.emotions) == set(range(len(EMOTIONS)))
    assert len(pool.pixels) > 2 * 21  # the detector found some


def test_the_drawn_square_shows_about_what_the_detector_cuts_out() -> None:
    alike = []
    for face in drawn_faces(14, seed=5):
        found = detected(face)
        if found is not None:
            square = as_seen(drawn_square(face).astype(np.float32) / 255)
            alike.append(np.corrcoef(found.ravel(), square.ravel())[0, 1])
    assert np.median(alike) > 0.5


def test_a_few_steps_lower_the_loss_and_the_graph_gives_the_networks_answers(
    pool: emotion.Crops, tmp_path: Path
) -> None:
    trainer = emotion.Trainer(pool, seed=1)
    losses = [trainer.step(0.1) for _ in range(25)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    network = trainer.network.eval()
    save(network, tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / WEIGHTS)
    (faces,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert faces.shape[1:] == [SIDE, SIDE, 1]
    assert probabilities.shape[1:] == [len(EMOTIONS)]
    answers = session.run(None, {faces.name: pool.pixels[:5]})[0]
    with torch.inference_mode():
        expected = torch.softmax(network(torch.from_numpy(pool.pixels[:5])), dim=1).numpy()
    assert np.allclose(answers, expected, atol=1e-4)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-4)


def test_the_bundled_network_reads_unseen_faces_through_deepface() -> None:
    assert (emotion.OUTPUT / WEIGHTS).stat().st_size < LARGEST
    figures = measure(emotion.OUTPUT, seed=77, count=42)
    assert figures.found >= 0.8 * figures.faces
    assert figures.right >= 0.85 * figures.found
    assert figures.right_without >= 0.85 * figures.faces
