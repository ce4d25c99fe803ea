"""The training of the tagger: its pieces, and the folder that it left in deployments/bundled."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.drawing.wording import class_of
from training.tagger import train as tagger
from training.tagger.card import Saved, measure
from training.tagger.scenes import CLASSES, fresh_scenes

LARGEST = 2_500_000  # bytes


@pytest.fixture(scope="module")
def pool() -> tagger.Pool:
    return tagger.together([tagger.draw_part(seed=1, first=first, count=12) for first in (0, 12)])


def test_the_classes_are_drawn_in_turn(pool: tagger.Pool) -> None:
    assert pool.pixels.shape == (24, tagger.STORED_SIDE, tagger.STORED_SIDE, 3)
    assert pool.labels.tolist() == list(range(24))
    assert [class_of(scene.kind) for scene in fresh_scenes(len(CLASSES), seed=1)] == list(CLASSES)


def test_a_batch_is_what_the_processor_gives(pool: tagger.Pool) -> None:
    batch = tagger.augmented(pool.pixels, np.random.default_rng(1))
    assert batch.shape == (24, 3, tagger.SIDE, tagger.SIDE)
    assert -1 <= batch.min() < batch.max() <= 1


def test_a_few_steps_lower_the_loss_and_what_is_saved_answers_the_same(pool: tagger.Pool, tmp_path: Path) -> None:
    trainer = tagger.Trainer(pool, seed=1)
    losses = [trainer.step(0.1) for _ in range(10)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    model = trainer.model.train(False)
    tagger.save(model, tmp_path)
    saved = Saved(tmp_path)
    pictures = [scene.image for scene in fresh_scenes(3, seed=1)]
    seen = saved.processor(pictures, return_tensors="pt").pixel_values
    assert seen.shape == (3, 3, tagger.SIDE, tagger.SIDE)
    assert -1 <= seen.min() < seen.max() <= 1
    with torch.inference_mode():
        assert torch.allclose(saved.model(seen).logits, model(seen).logits, atol=0.02)
    assert set(saved.tags(pictures, best=len(CLASSES))[0]) == set(CLASSES)


def test_the_bundled_tagger_knows_unseen_scenes() -> None:
    assert sum(path.stat().st_size for path in tagger.OUTPUT.iterdir()) < LARGEST
    figures = measure(Saved(tagger.OUTPUT), seed=77, count=3 * len(CLASSES))
    assert figures.right >= 0.9 * figures.scenes
    assert figures.among >= 0.97 * figures.scenes
