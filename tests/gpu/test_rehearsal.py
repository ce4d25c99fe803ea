"""The GPU benchmark from end to end on the CPU: nodes with a logical GPU, small networks, nothing written."""

import subprocess
import sys

import pytest

from benchmarks.gpu.__main__ import PARTS, RESULTS
from configs.project import PROJECT


@pytest.mark.parametrize("part", ["clip", "captioner", "packing", "cluster"])
def test_a_rehearsal_measures_everything_and_writes_nothing(part: str) -> None:
    before = RESULTS.read_text()
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--only", part]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, rehearsal, *rows = [line for line in done.stdout.splitlines() if line]
    assert head == f"## {PARTS[part]}"
    assert "no measurement" in rehearsal
    assert sum(line.startswith("| ") for line in rows) >= 2
    assert "nan" not in done.stdout
    assert RESULTS.read_text() == before
