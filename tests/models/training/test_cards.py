"""The pieces that all model cards are made of."""

from collections import Counter
from collections.abc import Sequence

import torch
from PIL import Image

from training.cards import command, million_parameters, most_frequent, table_rows, timings


def test_the_command_is_the_one_that_trains() -> None:
    assert command("tagger", 15.0, 1) == "`python -m training tagger --minutes 15 --seed 1`"
    again = command("clip", 7.5, 2, "--start-from clip-scenes-v1")
    assert again == "`python -m training clip --start-from clip-scenes-v1 --minutes 7.5 --seed 2`"


def test_an_image_is_timed_alone_and_in_a_batch() -> None:
    asked: list[int] = []

    def answer(images: Sequence[Image.Image]) -> None:
        asked.append(len(images))

    figures = timings(answer, Image.new("RGB", (8, 8)), calls=3)
    assert asked == [1, 1, 1, 8, 8, 8]
    threads = torch.get_num_threads()
    assert list(figures) == [f"CPU, an image in a batch of {batch}, {threads} threads" for batch in (1, 8)]
    assert all(figure.endswith(" ms") for figure in figures.values())


def test_figures_and_mistakes_are_listed() -> None:
    assert table_rows({"right": "90 %", "wrong": "10 %"}) == "| right | 90 % |\n| wrong | 10 % |"
    assert most_frequent(Counter({"a taken for b": 2, "b taken for a": 5})) == "b taken for a (5), a taken for b (2)"
    assert most_frequent(Counter()) == "none"
    assert million_parameters(torch.nn.Linear(999, 1000)) == 1.0
