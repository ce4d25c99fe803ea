"""How often the bundled weights are right about pictures that training never saw, over HTTP.

    python -m benchmarks.accuracy.evaluate

starts the application with its bundled weights, asks it about drawn pictures, prints how often it was right and writes
the tables to RESULTS.md.
"""

import httpx

from benchmarks import cli
from benchmarks.accuracy import evaluate_analysis, evaluate_descriptions
from benchmarks.report import update_section
from testbed.accuracy.scenes import ask_categorize, ask_classify, ask_colours
from testbed.application import Application, only
from testbed.processes import free_port

SCENES = 600
ANALYSED = 400
SEED = 2_026


def main() -> None:
    """Run the evaluation, print its tables and write them to RESULTS.md."""
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
    scenes = [
        f"Weights `{models[0]['id']}`, over HTTP, scenes from a seed that training never draws from. `make evaluate`",
        "",
        "| task | right |",
        "|---|---|",
        *(f"| {name} | {outcome} |" for name, outcome in figures.items()),
    ]
    bundled = [f"`{model['id']}`" for model in models[1:] if model["source"] == "bundled"]
    described = [name for name in bundled if any(kind in name for kind in ("tagger", "blip", "florence2"))]
    analysed = [name for name in bundled if name not in described]
    analysis = [f"{', '.join(analysed)}; pictures as above. `make evaluate`", "", *analysis]
    descriptions = [f"{', '.join(described)}; drawings as above. `make evaluate`", "", *descriptions]
    for name, title, lines in (
        ("evaluation", "What the bundled CLIP gets right", scenes),
        ("evaluation-analysis", "What the bundled photo analysis gets right", analysis),
        ("evaluation-descriptions", "What the bundled tagger, captioner and detector get right", descriptions),
    ):
        section = "\n".join([f"## {title}", "", *lines])
        print(section, end="\n\n")
        update_section(name, section)


if __name__ == "__main__":
    cli.run(main)
