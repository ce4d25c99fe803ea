"""How often /classify and /categorize are right about drawn scenes that training never saw."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice

import httpx

from testbed.accuracy.outcomes import Outcome, png
from training.clip.evaluation import colour_cases, fresh_scenes, labelled_scenes
from training.scenes import Scene

FILES_PER_REQUEST = 24


def ask_classify(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /classify for each of `count` scenes."""
    outcome = Outcome()
    for scene in fresh_scenes(count, seed):
        answer = api.post("/classify", files={"file": ("scene.png", png(scene.image))}).raise_for_status()
        outcome.add(scene.category, answer.json()["classification"])
    return outcome


def ask_categorize(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /categorize with the twelve default categories, several scenes in each request."""
    outcome = Outcome()
    for scenes in _chunks(labelled_scenes(count, seed)):
        files = [("files", (f"{index}.png", png(scene.image))) for index, scene in enumerate(scenes)]
        answer = api.post("/categorize", files=files).raise_for_status().json()
        for index, scene in enumerate(scenes):
            outcome.add(scene.label or "", answer[f"{index}.png"])
    return outcome


def ask_colours(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /categorize for pictures of one coloured shape, with captions that differ only in the colour."""
    outcome = Outcome()
    for case in colour_cases(count, seed):
        categories = json.dumps(case.captions).encode()
        files = [("files", ("shape.png", png(case.image))), ("categories", ("c.json", categories))]
        answer = api.post("/categorize", files=files).raise_for_status().json()
        outcome.add(case.captions[case.answer], answer["shape.png"])
    return outcome


def _chunks(scenes: Iterable[Scene]) -> Iterator[list[Scene]]:
    remaining = iter(scenes)
    while chunk := list(islice(remaining, FILES_PER_REQUEST)):
        yield chunk
