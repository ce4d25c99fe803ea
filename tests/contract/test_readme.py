"""The README's requests, run verbatim, give the answers that the README shows."""

import json
import re
import subprocess
from typing import Any

import pytest

from configs.project import PROJECT
from testbed.application import Application

EXAMPLES = re.findall(
    r"```bash\n([^\n]*curl -s [^\n]*)\n```\n```json\n(.*?)\n```", (PROJECT / "README.md").read_text(), re.DOTALL
)
assert len(EXAMPLES) >= 5, "the README lost its first requests"
# Values that differ in every answer.
CLOCKS = {"timestamp", "processing_time_ms", "memory_used", "ram_used"}


def alike(shown: Any, real: Any) -> bool:
    """Whether two answers are equal except for rounding and times; `…` in the README stands for what is left out."""
    if isinstance(shown, dict):
        return shown.keys() == real.keys() and all(alike(shown[key], real[key]) for key in shown.keys() - CLOCKS)
    if isinstance(shown, list) and "…" in shown:
        shown, real = shown[: shown.index("…")], real[: shown.index("…")]
    if isinstance(shown, list):
        return len(shown) == len(real) and all(map(alike, shown, real))
    return bool(shown == (pytest.approx(real, abs=0.02) if isinstance(real, float) else real))


@pytest.mark.parametrize(
    ("command", "answer"), EXAMPLES, ids=[re.findall(r":8000(/[\w/]+)", command)[0] for command, _ in EXAMPLES]
)
def test_a_request_of_the_readme_gives_its_answer(panoptes: Application, command: str, answer: str) -> None:
    typed = ["bash", "-c", command.replace("http://127.0.0.1:8000", panoptes.url)]
    done = subprocess.run(typed, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert alike(json.loads(answer), json.loads(done.stdout)), done.stdout
