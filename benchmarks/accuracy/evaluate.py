"""How often the bundled weights are right: 600 scenes that training never saw, over HTTP, through everything.

    python -m benchmarks.accuracy.evaluate

starts the application with its bundled weights, asks it, prints the shares and writes them to RESULTS.md.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice

import httpx

from benchmarks import cli
from benchmarks.accuracy import evaluate_analysis, evaluate_descriptions
from benchmarks.report import update_section
from testbed.application import Application, only
from testbed.outcomes import Outcome, png
from testbed.processes import free_port
from training.clip.evaluation import colour_cases, fresh_scenes, labelled_scenes
from training.scenes import Scene

SCENES = 600
ANALYSED = 400
SEED = 2_026
FILES_A_REQUEST = 24


def ask_classify(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /classify for each scene."""
    outcome = Outcome()
    for scene in fresh_scenes(count, seed):
        answer = api.post("/classify", files={"file": ("scene.png", png(scene.image))}).raise_for_status()
        outcome.add(scene.category, answer.json()["classification"])
    return outcome


def ask_categorize(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /categorize over the twelve default categories, several scenes a request."""
    outcome = Outcome()
    for scenes in _chunks(labelled_scenes(count, seed)):
        files = [("files", (f"{index}.png", png(scene.image))) for index, scene in enumerate(scenes)]
        answer = api.post("/categorize", files=files).raise_for_status().json()
        for index, scene in enumerate(scenes):
            outcome.add(scene.label or "", answer[f"{index}.png"])
    return outcome


def ask_colours(api: httpx.Client, count: int, seed: int) -> Outcome:
    """POST /categorize of one coloured shape by captions that differ in the colour alone."""
    outcome = Outcome()
    for case in colour_cases(count, seed):
        categories = json.dumps(case.captions).encode()
        files = [("files", ("shape.png", png(case.image))), ("categories", ("c.json", categories))]
        answer = api.post("/categorize", files=files).raise_for_status().json()
        outcome.add(case.captions[case.answer], answer["shape.png"])
    return outcome


def _chunks(items: Iterable[Scene]) -> Iterator[list[Scene]]:
    source = iter(items)
    while chunk := list(islice(source, FILES_A_REQUEST)):
        yield chunk


def main() -> None:
    """Run the evaluation and keep its figures."""
    env = only("clip", "quality", "emotion", "tagger", "captioner", "detector") | {"WEIGHTS": "bundled"}
    with (
        Application(free_port(), env) as application,
        httpx.Client(base_url=application.url, timeout=60) as api,
    ):
        figures = {
            "/classify, 3 categories": ask_classify(api, SCENES, SEED),
            "/categorize, 12 categories": ask_categorize(api, SCENES, SEED),
            "/categorize, 6 colours of one shape": ask_colours(api, SCENES // 2, SEED),
        }
        analysis = evaluate_analysis.lines(api, ANALYSED, SEED)
        descriptions = evaluate_descriptions.lines(api, ANALYSED, SEED)
        models = api.get("/v1/models").json()["data"]
    lines = [
        f"Weights `{models[0]['id']}`, over HTTP, scenes from a seed that training never draws from. `make evaluate`",
        "",
        "| task | right |",
        "|---|---|",
        *(f"| {name} | {outcome} |" for name, outcome in figures.items()),
    ]
    update_section("evaluation", "\n".join(["## What the bundled CLIP gets right", "", *lines]))
    bundled = [f"`{model['id']}`" for model in models[1:] if model["source"] == "bundled"]
    described = [name for name in bundled if any(kind in name for kind in ("tagger", "blip", "florence2"))]
    analysed = ", ".join(name for name in bundled if name not in described)
    head = ["## What the bundled photo analysis gets right", "", f"{analysed}; pictures as above. `make evaluate`", ""]
    update_section("evaluation-analysis", "\n".join([*head, *analysis]))
    head = [
        "## What the bundled tagger, captioner and detector get right",
        "",
        f"{', '.join(described)}; drawings as above. `make evaluate`",
        "",
    ]
    update_section("evaluation-descriptions", "\n".join([*head, *descriptions]))
    print("\n".join([*lines, "", *analysis, "", *descriptions]))


if __name__ == "__main__":
    cli.run(main)
