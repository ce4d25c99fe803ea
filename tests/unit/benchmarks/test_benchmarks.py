"""The base of the benchmarks: what they serve, what they write, and that they leave nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import update_section
from benchmarks.sections.cluster_job import JobMeasurement
from configs.project import PROJECT
from testbed.application import only
from testbed.processes import StartError, within
from testbed.starting import Started

SERVER = """
import sys
from pathlib import Path
from benchmarks import cli
from testbed.processes import ProcessTree

def main():
    folder = Path(sys.argv[1])
    tree = ProcessTree(["sleep", "600"], cwd=folder, env={"FOLDER": str(folder)}, log=folder / "log", folder=folder)
    try:
        print(*tree.pids(), flush=True)
        tree.wait(600)
    finally:
        tree.stop()

cli.run(main)
"""


class Server(Started):
    """Records its starts and stops."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.done: list[str] = []
        self._broken = broken

    def _start(self) -> None:
        self.done.append("start")
        if self._broken:
            raise StartError("broken")

    def _stop(self) -> None:
        self.done.append("stop")


def test_what_is_measured_alone_is_served_alone() -> None:
    env = only("Clip", "tagger")
    served = {name for name, value in env.items() if name.endswith("_ENABLED") and value == "true"}
    assert served == {"CLIP_ENABLED", "TAGGER_ENABLED"}
    assert env["CATALOGUER_ENABLED"] == env["RATE_LIMIT_ENABLED"] == "false"
    with pytest.raises(ValueError, match="no setting is called CLIPS_ENABLED"):
        only("clips")


def test_a_section_is_replaced_between_its_markers_or_added(tmp_path: Path) -> None:
    path = tmp_path / "figures.md"
    path.write_text("# Figures\n\n<!-- begin:a -->\nold\n<!-- end:a -->\n\nby hand\n")
    update_section("a", r"new \1", path)
    update_section("b", "another", path)
    assert path.read_text() == (
        "# Figures\n\n<!-- begin:a -->\nnew \\1\n<!-- end:a -->\n\nby hand\n\n"
        "<!-- begin:b -->\nanother\n<!-- end:b -->\n"
    )  # fmt: skip


def test_a_clustering_says_what_it_found() -> None:
    exact = {"method": "exact", "vectors": 1000, "search_s": 2.5, "recall": None}
    exact |= {"multiplied_dimensions": 225, "gflops": 80.4}
    approximate = exact | {"method": "approximate", "nprobe": 8, "nlist": 2000, "recall": {"share": 0.975}}
    assert JobMeasurement(4.0, 3_000_000, exact).row() == "| exact | 1,000 | 4.0 | 2.5 | 225 | 80 | 3 | all |"
    row = JobMeasurement(4.0, 3_000_000, approximate).row()
    assert row == "| approximate, 8 of 2,000 cells | 1,000 | 4.0 | 2.5 | 512 | – | 3 | 97.50% |"


def test_what_was_started_is_stopped_and_its_folder_goes() -> None:
    with Server() as server:
        folder = server.folder
        assert folder.is_dir()
        assert server.environment()["RAY_TMPDIR"] == str(folder)
    assert server.done == ["start", "stop"]
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="Server is not running"):
        _ = server.folder


def test_what_does_not_start_is_stopped_too() -> None:
    server = Server(broken=True)
    with pytest.raises(StartError), server:
        pass
    assert server.done == ["start", "stop"]


def test_a_benchmark_that_is_told_to_end_takes_its_processes_along(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as benchmark:
        assert benchmark.stdout is not None
        pids = [int(pid) for pid in benchmark.stdout.readline().split()]
        assert pids
        benchmark.send_signal(signal.SIGTERM)
        assert benchmark.wait(60) == 128 + signal.SIGTERM
    assert within(10, lambda: not any(alive(pid) for pid in pids))


@pytest.mark.parametrize("name", ["sections.cluster_job", "cluster_job"])
def test_a_command_is_found_by_its_name_and_by_the_one_of_0_1(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "--only-million" in done.stdout


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
