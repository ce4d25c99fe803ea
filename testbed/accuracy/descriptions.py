"""How often /v1/tags, /v1/caption and /v1/objects are right about drawings that training never saw."""

import base64
from collections import Counter
from typing import Any

import httpx
from PIL import Image

from testbed.accuracy.outcomes import Outcome, png
from training.captioner.scenes import FEW, fresh_pictures
from training.detector.accuracy import DetectorAccuracy, Found
from training.drawing.wording import class_of, parsed
from training.scenes import fresh_arrangements
from training.tagger.scenes import fresh_scenes


def ask(api: httpx.Client, route: str, image: Image.Image) -> dict[str, Any]:
    """The answer of /v1/`route` about one image."""
    body = {"image": {"data": base64.b64encode(png(image)).decode()}}
    answer: dict[str, Any] = api.post(f"/v1/{route}", json=body).raise_for_status().json()
    return answer


def ask_tags(api: httpx.Client, count: int, seed: int) -> Outcome:
    """The first tag of each of `count` scenes against the class of the scene."""
    outcome = Outcome()
    for scene in fresh_scenes(count, seed):
        outcome.add(class_of(scene.kind), ask(api, "tags", scene.image)["tags"][0]["label"])
    return outcome


def ask_captions(api: httpx.Client, count: int, seed: int) -> dict[int, Outcome]:
    """Captions of pictures of one to five things, by the number of things.

    A caption is right when it counts the things of every name and colour exactly.
    """
    outcomes: dict[int, Outcome] = {}
    for picture in fresh_pictures(count, seed):
        right = parsed(ask(api, "caption", picture.image)["caption"]) == picture.counts
        things = picture.counts.total()
        outcomes.setdefault(things, Outcome()).add("right", "right" if right else "wrong")
    return outcomes


def few(captions: dict[int, Outcome]) -> float:
    """The share (0–1) of right captions among pictures with at most FEW things."""
    counted = [outcome for things, outcome in captions.items() if things <= FEW]
    return sum(outcome.right for outcome in counted) / sum(outcome.total for outcome in counted)


def ask_objects(api: httpx.Client, count: int, seed: int) -> DetectorAccuracy:
    """Names, numbers and boxes of the objects in pictures of one to five things.

    Raises:
        RuntimeError: an answer's counts are not the counts of its objects.
    """
    figures = DetectorAccuracy()
    for scene in fresh_arrangements(count, seed):
        answer = ask(api, "objects", scene.image)
        figures.add(scene.things, [_found(one) for one in answer["objects"]])
        if answer["counts"] != Counter(one["label"] for one in answer["objects"]):
            raise RuntimeError(f"the counts are not those of the objects: {answer}")
    return figures


def _found(thing: dict[str, Any]) -> Found:
    x, y, width, height = (thing["region"][key] for key in "xywh")
    return thing["label"], (x, y, x + width, y + height)
