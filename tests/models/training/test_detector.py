"""The training of the detector: its pieces, and the folder that it left in deployments/bundled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.detector import train as detector
from training.detector.accuracy import matched, overlap
from training.detector.batches import Batch, Wording
from training.detector.card import Detector, measure
from training.detector.model import LONGEST_ANSWER, PROMPT, TASK, new_processor
from training.drawing.families.arrangement import NAMES, Arrangement, arranged, joined
from training.scenes import fresh_arrangements

LARGEST = 5_000_000  # bytes


@pytest.fixture(scope="module")
def trainer() -> detector.Trainer:
    return detector.Trainer(joined([detector.draw_stock(1, first, 2) for first in (0, 2)]), seed=1, at_once=4)


@pytest.fixture(scope="module")
def scenes() -> list[Arrangement]:
    return list(fresh_arrangements(10, seed=3))


def test_an_answer_names_every_thing_in_the_real_format(scenes: list[Arrangement]) -> None:
    processor = new_processor()
    wording = Wording(processor)
    for scene in scenes:
        tokens = wording.answer(scene)
        assert len(tokens) <= LONGEST_ANSWER
        text = processor.tokenizer.decode(tokens)
        answer = processor.post_process_generation(text, task=TASK, image_size=scene.image.size)[TASK]
        assert sorted(answer["labels"]) == sorted(thing.name for thing in scene.things)
        overlaps = matched(scene.things, list(zip(answer["labels"], answer["bboxes"], strict=True)))
        assert len(overlaps) == len(scene.things)
        assert min(overlaps) > 0.8  # places are told apart by hundredths


def test_the_training_asks_in_the_words_of_the_processor(trainer: detector.Trainer) -> None:
    image = arranged(np.random.default_rng(1)).image
    inputs = trainer.processor(text=TASK, images=image, return_tensors="pt")
    assert PROMPT in trainer.processor.tokenizer.decode(inputs["input_ids"][0])
    network = trainer.network.eval()
    with torch.inference_mode():
        served = network(**inputs, decoder_input_ids=torch.tensor([[2]])).encoder_last_hidden_state
        assert torch.allclose(trainer.encoded(inputs["pixel_values"]), served, atol=1e-4)
    network.train()


def test_every_thing_marks_its_cells(trainer: detector.Trainer, scenes: list[Arrangement]) -> None:
    batch = Batch(scenes, trainer.wording)
    for row, scene in enumerate(scenes):
        assert batch.middles[row].sum() == len(scene.things)
        shown = set(batch.names[row].tolist()) - {len(NAMES)}
        assert shown == {NAMES.index(thing.name) for thing in scene.things}
        assert batch.boxes[row].max() <= 1


def test_overlaps_pair_each_box_once(scenes: list[Arrangement]) -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    things = scenes[4].things
    found = [(thing.name, thing.box) for thing in things]
    assert matched(things, found) == pytest.approx([1.0] * len(things))
    assert matched(things, found[:1] * 5) != matched(things, found)


def test_a_few_steps_lower_the_loss_and_the_folder_gives_the_networks_answers(
    trainer: detector.Trainer, scenes: list[Arrangement], tmp_path: Path
) -> None:
    for progress in (0.1, 0.5):  # the cells alone, and the answers
        losses = [trainer.step(progress) for _ in range(6)]
        assert np.mean(losses[-2:]) < np.mean(losses[:2])
    detector.save(trainer.network.eval(), trainer.processor, tmp_path)
    inputs = trainer.processor(text=TASK, images=scenes[0].image, return_tensors="pt")
    loaded = Detector(tmp_path)
    again = loaded.processor(text=TASK, images=scenes[0].image, return_tensors="pt")
    assert all(torch.equal(inputs[name], again[name]) for name in inputs)
    network: Any = trainer.network.float()
    assert torch.equal(loaded.network.generate(**again), network.generate(**inputs))


def test_the_bundled_detector_counts_things_it_has_not_seen() -> None:
    assert sum(file.stat().st_size for file in detector.OUTPUT.iterdir()) < LARGEST
    figures = measure(Detector(detector.OUTPUT), seed=77, count=60)
    assert figures.accuracy >= 0.8
    assert figures.overlap >= 0.6
