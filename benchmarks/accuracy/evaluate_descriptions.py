"""The table of how often the bundled tagger, captioner and detector are right about drawings."""

import httpx

from testbed.accuracy.descriptions import ask_captions, ask_objects, ask_tags, few
from training.captioner.scenes import FEW
from training.tagger.scenes import CLASSES


def lines(api: httpx.Client, count: int, seed: int) -> list[str]:
    """Ask each route about `count` drawings; the figures as a Markdown table."""
    captions, found = ask_captions(api, count, seed), ask_objects(api, count, seed)
    by_number = ", ".join(f"{things}: {outcome.share:.0%}" for things, outcome in sorted(captions.items()))
    counted = f"{found.right.total()} of {found.scenes.total()} = {found.accuracy:.1%}"
    return [
        "| what | right |",
        "|---|---|",
        f"| `/v1/tags`, {len(CLASSES)} classes | {ask_tags(api, count, seed)} |",
        f"| `/v1/caption`, every name, colour and number, up to {FEW} things | {few(captions):.1%} |",
        f"| … by the number of things | {by_number} |",
        f"| `/v1/objects`, every name and number | {counted} |",
        f"| `/v1/objects`, mean overlap (IoU) of the boxes | {found.overlap:.2f} |",
    ]
