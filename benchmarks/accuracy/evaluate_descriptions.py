"""How often the bundled tagger, captioner and detector are right about drawings that training never saw, over HTTP."""

import base64
from collections import Counter
from typing import Any

import httpx
from PIL import Image

from testbed.outcomes import Outcome, png
from training.captioner import card as captioner
from training.detector import card as detector
from training.drawing.wording import class_of, parsed
from training.tagger import card as tagger


def ask(api: httpx.Client, route: str, image: Image.Image) -> dict[str, Any]:
    """The answer of a route of one model."""
    body = {"image": {"data": base64.b64encode(png(image)).decode()}}
    answer: dict[str, Any] = api.post(f"/v1/{route}", json=body).raise_for_status().json()
    return answer


def ask_tags(api: httpx.Client, count: int, seed: int) -> Outcome:
    """The first label against the class that is drawn, the classes in turn."""
    outcome = Outcome()
    for scene in tagger.fresh_scenes(count, seed):
        outcome.add(class_of(scene.kind), ask(api, "tags", scene.image)["tags"][0]["label"])
    return outcome


def ask_captions(api: httpx.Client, count: int, seed: int) -> dict[int, Outcome]:
    """By the number of things, one to five in turn: captions that count every name in every colour as it is drawn."""
    outcomes: dict[int, Outcome] = {}
    for picture in captioner.fresh_pictures(count, seed):
        right = parsed(ask(api, "caption", picture.image)["caption"]) == picture.counts
        things = picture.counts.total()
        outcomes.setdefault(things, Outcome()).add("right", "right" if right else "wrong")
    return outcomes


def few(captions: dict[int, Outcome]) -> float:
    """The share (0–1) of right captions of pictures of as many things as the captioner can be relied on to tell."""
    counted = [outcome for things, outcome in captions.items() if things <= captioner.FEW]
    return sum(outcome.right for outcome in counted) / sum(outcome.total for outcome in counted)


def ask_objects(api: httpx.Client, count: int, seed: int) -> detector.DetectorAccuracy:
    """Names, numbers and places of things, one to five in turn."""
    figures = detector.DetectorAccuracy()
    for scene in detector.evaluation_scenes(count, seed):
        answer = ask(api, "objects", scene.image)
        figures.add(scene.things, [_found(one) for one in answer["objects"]])
        if answer["counts"] != Counter(one["label"] for one in answer["objects"]):
            raise RuntimeError(f"the counts are not those of the objects: {answer}")
    return figures


def _found(thing: dict[str, Any]) -> detector.Found:
    x, y, width, height = (thing["region"][key] for key in "xywh")
    return thing["label"], (x, y, x + width, y + height)


def lines(api: httpx.Client, count: int, seed: int) -> list[str]:
    """The figures as the rows of a Markdown table."""
    captions, found = ask_captions(api, count, seed), ask_objects(api, count, seed)
    by_number = ", ".join(f"{things}: {outcome.share:.0%}" for things, outcome in sorted(captions.items()))
    counted = f"{found.right.total()} of {found.scenes.total()} = {found.accuracy:.1%}"
    return [
        "| what | right |",
        "|---|---|",
        f"| `/v1/tags`, {len(tagger.CLASSES)} classes | {ask_tags(api, count, seed)} |",
        f"| `/v1/caption`, every name, colour and number, up to {captioner.FEW} things | {few(captions):.1%} |",
        f"| … by the number of things | {by_number} |",
        f"| `/v1/objects`, every name and number | {counted} |",
        f"| `/v1/objects`, mean overlap (IoU) of the boxes | {found.overlap:.2f} |",
    ]
