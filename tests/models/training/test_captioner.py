"""The training of the captioner: its pieces, and the folder that it left in deployments/bundled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.captioner import model as captioner_model
from training.captioner import train as captioner
from training.captioner.card import Saved, measure
from training.captioner.model import COLOURS, GRID, NOTHING, SIDE
from training.captioner.scenes import CAPTIONS, FEW, fresh_pictures
from training.drawing.families.arrangement import MOST, NAMES, Thing

LARGEST = 4_000_000  # bytes


@pytest.fixture(scope="module")
def pool() -> captioner.Pool:
    return captioner.together([captioner.draw_part(seed=1, first=first, count=6) for first in (0, 6)])


def test_a_pool_holds_sprites_grounds_and_other_scenes(pool: captioner.Pool) -> None:
    assert pool.pixels.shape == (12, captioner.STORED_SIDE, captioner.STORED_SIDE, 3)
    assert pool.captions == list(CAPTIONS[:12])
    assert {len(pool.stock.sprites[name]) for name in NAMES} == {2 * captioner.SPRITES_PER_TASK}
    assert len(pool.stock.grounds) == 2 * captioner.GROUNDS_PER_TASK


def test_patches_say_what_lies_in_them_and_where_its_middle_is() -> None:
    large, small = Thing("car", "red", (0, 0, 100, 100)), Thing("star", "blue", (191, 191, 193, 193))
    truth = captioner_model.patches_of([((200, 200), (large, small)), ((50, 80), ())])
    names, middles = truth.names.view(-1, GRID, GRID), truth.middles.view(-1, GRID, GRID)
    half = GRID // 2
    assert (names[0, :half, :half] == 1 + NAMES.index("car")).all()
    assert names[0, -1, -1] == 1 + NAMES.index("star")
    assert truth.colours[0, -1] == 1 + COLOURS.index("blue")
    assert (names[0] != NOTHING).sum() == half**2 + 1
    assert middles[0].sum() == 2
    assert middles[0, -1, -1] == 1
    assert not middles[1].any()


def test_the_vision_tower_begins_by_looking_at_the_neighbours_of_each_patch() -> None:
    torch.manual_seed(1)  # the weights that are drawn are small, and with some draws not small enough
    tower = captioner_model.fresh_model(captioner_model.fresh_processor()).vision_model
    states = tower.embeddings(torch.randn(1, 3, SIDE, SIDE))
    first: Any = tower.encoder.layers[0]
    _, attention = first.self_attn(first.layer_norm1(states))
    patch = 1 + (GRID // 2) * GRID + GRID // 2
    seen = (attention[0, :, patch].argmax(dim=1) - patch).tolist()
    assert seen == [down * GRID + across for across, down in captioner_model.NEIGHBOURS]


def test_a_caption_begins_and_ends_as_blip_wants_it() -> None:
    processor = captioner_model.fresh_processor()
    words, ids = processor.tokenizer, captioner_model.tokens(processor, ["a red car, two blue stars", "a red car"])
    assert ids[:, 0].tolist() == [words.bos_token_id] * 2
    assert ids[0, -1] == words.sep_token_id
    assert ids[1, -1] == words.pad_token_id
    assert words.unk_token_id not in ids
    assert words.batch_decode(ids, skip_special_tokens=True) == ["a red car, two blue stars", "a red car"]


def test_a_few_steps_lower_the_loss_and_what_is_saved_answers_the_same(
    pool: captioner.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captioner, "COMPOSED", 12)
    monkeypatch.setattr(captioner, "OTHERS", 4)
    trainer = captioner.Trainer(pool, seed=1)
    losses = [trainer.step(0.2) for _ in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    model = trainer.model.eval()
    captioner_model.save(model, trainer.processor, tmp_path)
    saved = Saved(tmp_path)
    pictures = list(fresh_pictures(MOST, seed=1))
    seen = saved.processor(images=[picture.image for picture in pictures], return_tensors="pt").pixel_values
    assert seen.shape == (MOST, 3, SIDE, SIDE)
    ids = captioner_model.tokens(saved.processor, ["a red car"] * MOST)
    with torch.inference_mode():
        answers, expected = (network(pixel_values=seen, input_ids=ids).logits for network in (saved.model, model))
        assert torch.allclose(answers, expected, atol=0.02)
    assert [picture.counts.total() for picture in pictures] == list(range(1, MOST + 1))


def test_the_bundled_captioner_counts_unseen_things_and_names_unseen_scenes() -> None:
    assert sum(path.stat().st_size for path in captioner.OUTPUT.iterdir()) < LARGEST
    saved = Saved(captioner.OUTPUT)
    figures = measure(saved, seed=77, pictures=100, others=2 * len(CAPTIONS))
    assert figures.share(FEW)[0] >= 0.85
    assert figures.share(MOST)[0] >= 0.65
    assert figures.scenes_right >= 0.6 * figures.scenes
    pictures = [picture.image for picture in fresh_pictures(4, seed=78)]
    assert saved.captions(pictures) == [saved.captions([picture])[0] for picture in pictures]
