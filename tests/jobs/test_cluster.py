"""`python -m jobs.clustering` as a user runs it, with and without Ray: scikit-learn's labels, also after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from configs.project import PROJECT
from deployments.clustering.dbscan import dbscan
from testbed.nodes import Node, RayNodes
from testbed.processes import ProcessTree, outside_ray
from tests.unit.clustering.test_job import with_noise
from tests.unit.clustering.test_outline import in_few_directions

MIN_SAMPLES = 4


def written(path: Path, points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """The points as they are after writing and reading."""
    singles = points.astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(singles.reshape(-1)), singles.shape[1])
    pq.write_table(pa.table({"image_id": range(len(singles)), "embedding": lists}), path)
    return singles


def command(folder: Path, eps: float, *more: str) -> list[str]:
    """From `in.parquet` of a folder to its `out`."""
    options = [f"--input={folder}/in.parquet", f"--output={folder}/out", f"--eps={eps}"]
    return [sys.executable, "-m", "jobs.clustering", *options, f"--min-samples={MIN_SAMPLES}", *more]


def manifest(output: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((output / "manifest.json").read_text())
    return read


def labels(output: Path) -> list[int]:
    found: list[int] = pq.read_table(output / "labels.parquet")["label"].to_pylist()
    return found


def clustered(folder: Path, *more: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Run the job on points that outlines help with; expect scikit-learn's labels, nothing left over. Its manifest."""
    points = written(folder / "in.parquet", in_few_directions(np.random.default_rng(1), 6000))
    once = command(folder, 0.1, *more)
    done = subprocess.run(once, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = DBSCAN(eps=0.1, min_samples=MIN_SAMPLES, metric="cosine").fit(points.astype(np.float64))
    assert labels(folder / "out") == model.labels_.tolist()
    assert not list((folder / "out").glob("_blocks/**/*.npz"))
    facts = manifest(folder / "out")
    assert facts["where"] in done.stderr
    assert (facts["method"], facts["block_rows"], facts["resumed_block_rows"]) == ("exact", 6, 0)
    assert facts["core_points"] == len(model.core_sample_indices_)
    assert facts["multiplied_dimensions"] < points.shape[1]
    return facts


def test_the_job_in_threads(tmp_path: Path) -> None:
    facts = clustered(tmp_path, "--in-process")
    assert facts["where"] == "threads of this process"


def test_the_job_in_ray(tmp_path: Path) -> None:
    """With an outline of the vectors beside them in Ray's object store."""
    with RayNodes({"cpu": Node(cpus=2)}) as nodes:
        facts = clustered(tmp_path, env=outside_ray() | nodes.joining)
    assert facts["where"].startswith("Ray at ")
    assert facts["where"].rpartition(":")[2] == nodes.address.rpartition(":")[2]
    assert facts["workers"]["count"] == 2


def test_unusable_input_ends_in_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": ["a", "a"], "embedding": [[1.0, 2.0], [2.0, 1.0]]}), tmp_path / "in.parquet")
    done = subprocess.run(command(tmp_path, 0.3), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "The id a occurs 2 times: ids must be unique, name another column."
    assert "Traceback" not in done.stderr


def test_a_job_that_was_killed_twice_continues_where_it_stopped(tmp_path: Path) -> None:
    points = written(tmp_path / "in.parquet", with_noise(np.random.default_rng(1), 16_000, 256, 0.5))
    once = command(tmp_path, 0.3, "--in-process")
    for rows in (3, 9):
        finished = killed_after(rows, once, tmp_path)
        assert not (tmp_path / "out" / "manifest.json").exists()
    subprocess.run(once, cwd=PROJECT, check=True, capture_output=True)
    facts = manifest(tmp_path / "out")
    assert 9 <= finished <= facts["resumed_block_rows"] < facts["block_rows"] == 20
    assert labels(tmp_path / "out") == dbscan(points, 0.3, MIN_SAMPLES, threads=2).tolist()
    assert not list((tmp_path / "out").glob("_blocks/**/*.npz"))


def killed_after(rows: int, once: list[str], folder: Path) -> int:
    """Run a clustering until so many rows of blocks are kept, and kill it; how many there were."""
    env = os.environ | {"PANOPTES_TEST_FOLDER": str(folder)}
    tree = ProcessTree(once, cwd=PROJECT, env=env, log=folder / "log.txt", folder=folder)
    try:
        deadline = time.monotonic() + 120
        while (finished := len(list((folder / "out").glob("_blocks/*/*.npz")))) < rows:
            assert time.monotonic() < deadline, tree.tail()
            time.sleep(0.01)
        os.kill(tree._process.pid, signal.SIGKILL)
    finally:
        tree.stop()
    return finished
