"""DBSCAN of many vectors compared with scikit-learn's, and a whole clustering request, from bytes to bytes.

    python -m benchmarks.sections.clustering

Each figure comes from a process of its own: seconds, and the peak of its resident memory while it computes (Linux). The
labels of both are compared. About ten minutes on 2 cores, and 6 GB of memory for scikit-learn.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import cli, report
from configs.project import PROJECT
from testbed.processes import memory_of_this

CORES = len(os.sched_getaffinity(0))
EPS = 0.35
SEED = 2_026

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Set:
    """A set of vectors.

    Attributes:
        min_samples: of DBSCAN.
        centres: number of centres; 0: all directions are equally likely.
        spread: the range of the standard deviations around the centres.
    """

    title: str
    min_samples: int
    centres: int
    spread: tuple[float, float]

    def draw(self, count: int, dimensions: int) -> Floats:
        """Vectors (count, dimensions), not normalised; the same ones at every call."""
        rng = np.random.default_rng(SEED)
        vectors = rng.standard_normal((count, dimensions))
        if self.centres:
            centres = rng.standard_normal((self.centres, dimensions))
            vectors *= rng.uniform(*self.spread, size=(count, 1))
            chosen = rng.integers(self.centres, size=count)
            for row, centre in enumerate(chosen):
                vectors[row] += centres[centre]
        return vectors


SETS = {
    "clusters": Set("200 clusters with stragglers, min_samples 2", 2, 200, (0.3, 1.2)),
    "clusters-5": Set("200 clusters with stragglers, min_samples 5", 5, 200, (0.3, 1.2)),
    "one": Set("all in one cluster, min_samples 5", 5, 1, (0.2, 0.5)),
    "uniform": Set("all directions alike, min_samples 5", 5, 0, (0, 0)),
}
SUBJECTS = {
    "panoptes": "`deployments.clustering.dbscan`",
    "sklearn": "scikit-learn, n_jobs=-1",
    "request": "a request: read, clustered, answered",
    "read": "the reading of a request alone",
    "pydantic": "the same by pydantic, in one piece",
}
FROM_BYTES = ("request", "read", "pydantic")


@dataclass(frozen=True)
class ClusteringMeasurement:
    """Of one process.

    Attributes:
        before_bytes, peak_bytes: resident memory before it computes, and its peak while it does.
        labels: a digest of the labels; "" without labels.
    """

    seconds: float
    cpu_seconds: float
    before_bytes: int
    peak_bytes: int
    labels: str


def main() -> None:
    """Measure everything, print the section and write it; or, with --measure, print one figure as JSON."""
    options = _options()
    if options.measure:
        print(json.dumps(vars(_measure(options))))
        return
    with tempfile.TemporaryDirectory() as folder:
        section = _render(options, _figures(options, Path(folder)))
    print(section)
    if not options.only and (options.points, options.dimensions) == (20_000, 512):
        report.update_section("clustering", section)


def _options() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, help="only these; RESULTS.md is not changed")
    parser.add_argument("--measure", choices=SUBJECTS, help=argparse.SUPPRESS)
    parser.add_argument("--set", choices=SETS, default="clusters", help=argparse.SUPPRESS)
    parser.add_argument("--body", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _figures(options: argparse.Namespace, folder: Path) -> dict[tuple[str, str], ClusteringMeasurement]:
    figures: dict[tuple[str, str], ClusteringMeasurement] = {}
    body = folder / "body.json"
    _write_body(body, SETS["clusters"].draw(options.points, options.dimensions))
    for subject in options.only or SUBJECTS:
        for name in ["clusters"] if subject in FROM_BYTES else SETS:
            print(f"{subject}: {SETS[name].title} ...", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "benchmarks.sections.clustering", f"--measure={subject}", f"--set={name}"]
            command += [f"--points={options.points}", f"--dimensions={options.dimensions}", f"--body={body}"]
            # Panoptes' DBSCAN has threads of its own, scikit-learn uses those of the BLAS
            env = os.environ | ({} if subject == "sklearn" else {"OPENBLAS_NUM_THREADS": "1"})
            done = subprocess.run(command, cwd=PROJECT, env=env, check=True, stdout=subprocess.PIPE)
            figures[subject, name] = ClusteringMeasurement(**json.loads(done.stdout))
    return figures


def _write_body(path: Path, vectors: Floats) -> None:
    ids = json.dumps([f"photo_{number:06}" for number in range(len(vectors))])
    with path.open("w") as file:
        file.write(f'{{"image_ids": {ids}, "embeddings": [')
        for number, vector in enumerate(vectors):
            file.write(("," if number else "") + json.dumps(vector.tolist()))
        file.write("]}")


def _measure(options: argparse.Namespace) -> ClusteringMeasurement:
    chosen = SETS[options.set]
    subject: Any = options.body.read_bytes() if options.measure in FROM_BYTES else None
    if subject is None:
        subject = chosen.draw(options.points, options.dimensions)
    compute = _subject(options.measure, chosen, options.points)
    before = memory_of_this("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    started, cpu_started = time.perf_counter(), time.process_time()
    result = compute(subject)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return ClusteringMeasurement(seconds, cpu_seconds, before, memory_of_this("VmHWM"), _digest(result))


def _subject(name: str, chosen: Set, points: int) -> Callable[[Any], Any]:
    """The function to measure: takes vectors or a body; returns labels, an answer or a parsed request."""
    # Imported here so that a process holds only what it measures
    if name == "sklearn":
        from sklearn.cluster import DBSCAN

        return DBSCAN(eps=EPS, min_samples=chosen.min_samples, metric="cosine", n_jobs=-1).fit_predict  # type: ignore[no-any-return]
    if name == "panoptes":
        from deployments.clustering.dbscan import dbscan

        return lambda vectors: dbscan(vectors, EPS, chosen.min_samples, threads=CORES)
    from deployments.clustering.deployment import Clusterer, ClusterRequest, parse

    if name == "read":
        return lambda body: parse(body, points)
    if name == "pydantic":
        return lambda body: np.array(ClusterRequest.model_validate_json(body).embeddings)
    from testbed.replicas import replica_class

    return replica_class(Clusterer)(points, 0)._cluster


def _digest(result: Any) -> str:
    """The digest of the labels in a result, by which processes can be compared; "" for a result without labels."""
    if isinstance(result, bytes):
        result = np.array([one["cluster_id"] for one in json.loads(result)["assignments"]])
    return hashlib.sha256(result.astype("<i8").tobytes()).hexdigest() if getattr(result, "ndim", 0) == 1 else ""


def _render(options: argparse.Namespace, figures: dict[tuple[str, str], ClusteringMeasurement]) -> str:
    lines = [
        "## Clustering",
        "",
        f"{report.machine('numpy', 'scikit-learn', 'pydantic')}. "
        f"`python -m benchmarks.sections.clustering --points {options.points} --dimensions {options.dimensions}`",
        "",
        f"{options.points:,} vectors of {options.dimensions} dimensions, eps {EPS}, each figure from a process of its "
        "own. Memory is resident: its peak during the computation, and what the process held before, with its "
        "interpreter, libraries and input.",
        "",
        "| | vectors | s | CPU s | peak MB | MB before | labels |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for (subject, name), figure in figures.items():
        cells = [
            SUBJECTS[subject],
            SETS[name].title,
            f"{figure.seconds:.1f}",
            f"{figure.cpu_seconds:.1f}",
            f"{figure.peak_bytes / 1e6:.0f}",
            f"{figure.before_bytes / 1e6:.0f}",
            _verdict(figures, subject, name),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(figures: dict[tuple[str, str], ClusteringMeasurement], subject: str, name: str) -> str:
    expected = figures.get(("sklearn", name))
    if subject not in {"panoptes", "request"} or expected is None:
        return "–"
    return "the same" if figures[subject, name].labels == expected.labels else "**not the same**"


if __name__ == "__main__":
    cli.run(main)
