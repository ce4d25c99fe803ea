"""The training of the quality measures: its pieces, and the files that it left in deployments/bundled."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deployments.models.quality.nima import build_nima
from training.quality import brisque, nima
from training.quality.card import measure, ranked, scorer
from training.quality.evaluation import degraded_scenes
from training.quality.train import FOLDERS, OUTPUT, draw_composed, draw_degraded, together, with_features

BUNDLED = {name: OUTPUT / folder for name, folder in FOLDERS.items()}
EMOTION = OUTPUT / "emotion-faces-v1"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return next(degraded_scenes(1, seed=1)).image


def test_brisque_is_fitted_as_pyiqa_computes_it(picture: Image.Image, tmp_path: Path) -> None:
    graded, seen = with_features([draw_degraded(seed=5, first=0, count=3), draw_degraded(seed=5, first=3, count=3)])
    severities = 1 - graded.grades
    coefficients, vectors = brisque.fit(seen, severities, seed=1)
    fitted = brisque.predict(seen, coefficients, vectors)
    assert ranked(zip(fitted, severities, strict=True)) > 0.9
    brisque.save(coefficients, vectors, tmp_path)
    expected = brisque.predict(brisque.features(picture)[None], coefficients, vectors)[0]
    assert scorer(brisque.load(tmp_path))(picture) == pytest.approx(expected, abs=0.1)


def test_what_nima_is_trained_on_is_what_it_sees_in_the_server(picture: Image.Image) -> None:
    network = build_nima(nima.BACKBONE, 1).eval()
    whole = torch.from_numpy(np.array(picture, np.float32) / 255).permute(2, 0, 1)[None]
    cut = torch.from_numpy(nima.seen(picture)[None]).float() / 255
    with torch.inference_mode():
        difference = network.preprocess(whole) - network.preprocess(cut)  # type: ignore[operator]
    assert difference.abs().max() < 0.02


@pytest.mark.parametrize("classes", [1, 10])
def test_a_few_steps_lower_the_loss(classes: int, tmp_path: Path) -> None:
    pool = draw_composed(seed=1, first=0, count=24)
    if classes == 1:
        pool = nima.Graded(pool.pixels, pool.grades / np.float32(10))
    trainer = nima.Trainer(together([pool, pool]), classes, seed=1, crop=96)
    losses = [trainer.step(0.2) for _ in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    nima.save(trainer.network, classes, tmp_path)
    with torch.inference_mode():
        score = float(nima.load(tmp_path)(torch.rand(1, 3, 240, 300)))
    assert np.isfinite(score)
    assert classes == 1 or 1 <= score <= 10


def test_a_target_is_a_distribution_around_its_score() -> None:
    target = nima.distributions(torch.tensor([2.0, 5.5, 9.0]))
    assert torch.allclose(target.sum(dim=1), torch.ones(3))
    means = (target * torch.arange(1, 11)).sum(dim=1)
    assert torch.allclose(means, torch.tensor([2.0, 5.5, 9.0]), atol=0.3)
    assert nima.earth_movers(target, target) == 0
    assert nima.earth_movers(target[:1], target[2:]) > nima.earth_movers(target[:1], target[1:2])


def test_the_bundled_files_hold_tensors_and_nothing_else() -> None:
    coefficients, vectors = torch.load(BUNDLED["brisque"] / brisque.WEIGHTS, weights_only=True)
    assert vectors.shape == (len(coefficients), 36)
    for name, classes in (("technical", 1), ("aesthetic", 10)):
        state = torch.load(BUNDLED[name] / "nima.pth", weights_only=True)["params"]
        assert {value.dtype for value in state.values()} == {torch.float16, torch.int64}
        assert nima.load(BUNDLED[name]).num_classes == classes


def test_the_bundled_files_stay_small() -> None:
    files = [path for folder in (*BUNDLED.values(), EMOTION) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < 6 * MEGABYTE
    assert all((folder / "MODEL_CARD.md").is_file() for folder in (*BUNDLED.values(), EMOTION))


def test_the_bundled_measures_rank_unseen_scenes() -> None:
    figures = measure(BUNDLED, count=60, seed=77)
    assert figures["brisque"]["all"] > 0.8
    assert figures["technical"]["all"] > 0.8
    assert figures["aesthetic"]["all"] > 0.75
