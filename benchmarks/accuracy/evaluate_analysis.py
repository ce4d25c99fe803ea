"""The table of how well the bundled photo analysis ranks drawn pictures and reads drawn faces."""

from collections import defaultdict

import httpx

from testbed.accuracy.analysis import ask_aesthetics, ask_emotions, ask_quality


def lines(api: httpx.Client, count: int, seed: int) -> list[str]:
    """Ask about `count` pictures of each sort; the figures as Markdown tables."""
    by_measure: dict[str, list[str]] = defaultdict(list)
    for name, ranking in ask_quality(api, count, seed).items():
        by_measure[name.partition(",")[0]].append(f"| {name} | {ranking} |")
    return [
        "| what | rank correlation |",
        "|---|---|",
        *(row for rows in by_measure.values() for row in rows),
        f"| NIMA aesthetic, drawn notion of composition | {ask_aesthetics(api, count // 2, seed)} |",
        "",
        "| what | right |",
        "|---|---|",
        f"| emotion of drawn faces | {ask_emotions(api, count, seed)} |",
    ]
