"""The clustering job compared with scikit-learn, with the matrix product alone, and with itself at half the size.

    python -m benchmarks.sections.cluster_job              # 50,000 and 100,000 × 512: 10 to 20 minutes
    python -m benchmarks.sections.cluster_job --million    # also 1,000,000 × 512, approximately (with --exact: exactly)

Memory is the peak of the proportional set size of all processes that the job started; scikit-learn's is the peak of its
one process's resident set. The matrix product is that of 1024 × 512 float32 matrices with one thread on each core,
measured before and after.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import cli, report
from configs.project import PROJECT
from testbed.processes import ProcessTree, memory_of_this, outside_ray

CORES = len(os.sched_getaffinity(0))
DIMENSIONS, EPS, MIN_SAMPLES = 512, 0.35, 2
A_CLUSTER = 50  # points in it
PART = 10_000  # points drawn at a time
SEED = 2_026
HEAD = [
    "| | vectors | s | search s | coordinates multiplied | GFLOP/s | peak MB | edges found |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
]


@dataclass(frozen=True)
class JobMeasurement:
    """Of one run: the seconds of the whole command, the peak of its memory in bytes, and the job's manifest."""

    seconds: float
    peak_bytes: int
    manifest: dict[str, Any]

    @property
    def search_seconds(self) -> float:
        """Seconds of the search alone, including the start of its workers."""
        seconds: float = self.manifest["search_s"]
        return seconds

    def row(self) -> str:
        """The row of the table."""
        name, found, width, gflops = self.manifest["method"], "all", DIMENSIONS, "–"
        if recall := self.manifest["recall"]:
            name += f", {self.manifest['nprobe']} of {self.manifest['nlist']:,} cells"
            found = f"{recall['share']:.2%}"
        else:
            width, gflops = self.manifest["multiplied_dimensions"], f"{self.manifest['gflops']:.0f}"
        return (
            f"| {name} | {self.manifest['vectors']:,} | {self.seconds:.1f} | {self.search_seconds:.1f} "
            f"| {width} | {gflops} | {self.peak_bytes / 1e6:.0f} | {found} |"
        )


def main() -> None:
    """Measure, print the sections and write them with --write; or, with --sklearn, print that one figure as JSON."""
    options = _options()
    if options.sklearn:
        source, kind = options.sklearn
        print(json.dumps(_sklearn(Path(source), kind)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if not options.only_million:
            _show("cluster-job", _head("The clustering job", options) + _exact(options, Path(folder)), options)
        if methods := [name for name in ("million", "exact") if getattr(options, name)]:
            lines = _head("The clustering job, a million vectors", options) + HEAD
            draw_vectors(source := Path(folder, "million.parquet"), 1_000_000)
            for method in methods:
                more = ["--approximate"] if method == "million" else []
                lines.append(run_job(source, Path(folder, method), *more).row())
            _show("cluster-job-million", lines, options)


def _options() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--points", type=int, default=100_000, help="vectors of the larger of the two exact runs")
    parser.add_argument("--million", action="store_true", help="also 1,000,000 vectors, approximately")
    parser.add_argument("--exact", action="store_true", help="also 1,000,000 vectors, exactly: for a GPU")
    parser.add_argument("--only-million", action="store_true", help="only the runs with 1,000,000 vectors")
    parser.add_argument("--no-sklearn", action="store_true")
    parser.add_argument("--write", action="store_true", help="put what was measured into RESULTS.md")
    parser.add_argument("--folder", type=Path, help="where the vectors are written: 2 GB for a million")
    parser.add_argument("--sklearn", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_million and not (options.million or options.exact):
        parser.error("--only-million leaves nothing: add --million, --exact or both")
    return options


def _head(title: str, options: argparse.Namespace) -> list[str]:
    flags = [name for name in ("million", "exact", "only_million", "no_sklearn") if getattr(options, name)]
    command = ["python -m benchmarks.sections.cluster_job", *(f"--{name.replace('_', '-')}" for name in flags)]
    if not options.only_million:
        command.append(f"--points {options.points}")
    return [
        f"## {title}",
        "",
        f"{report.machine('numpy', 'ray', 'scikit-learn', 'faiss-cpu')}. `{' '.join(command)}`",
        "",
        *about(),
        "",
    ]


def about() -> list[str]:
    """What is clustered, and what the columns mean."""
    return [
        f"Vectors of {DIMENSIONS} dimensions in clusters of {A_CLUSTER} with stragglers, eps {EPS}, min_samples "
        f"{MIN_SAMPLES}. Memory is the peak of all processes. Seconds are those of the whole command, and of its "
        "search, which multiplies only as many coordinates of the vectors as it needs to rule pairs out."
    ]


def _show(name: str, lines: list[str], options: argparse.Namespace) -> None:
    section = "\n".join(lines)
    print(section, flush=True)
    if options.write:
        report.update_section(name, section)


def _exact(options: argparse.Namespace, folder: Path) -> list[str]:
    """The table of both exact runs, the matrix product and scikit-learn, and the targets."""
    lines, limits, figures = list(HEAD), [_limit()], list[JobMeasurement]()
    for count in (options.points // 2, options.points):
        draw_vectors(folder / f"{count}.parquet", count)
        figures.append(run_job(folder / f"{count}.parquet", folder / f"out-{count}"))
        limits.append(_limit())
        lines.append(figures[-1].row())
    half, whole = figures
    lines.append(
        f"| the matrix product alone, {CORES} threads | – | – | – | {DIMENSIONS} | {max(limits):.0f} | – | – |"
    )
    targets = [
        report.Target("GFLOP/s ÷ the matrix product's", whole.manifest["gflops"] / max(limits), 0.6),
        report.Target(
            "search at twice the size ÷ at half", whole.search_seconds / half.search_seconds, 4.3, at_most=True
        ),
        report.Target("peak memory", whole.peak_bytes / 1e9, 2, at_most=True, unit=" GB"),
    ]
    if not options.no_sklearn:
        rows, seconds = _scikit_learn(options.points, folder)
        lines += rows
        targets += [
            report.Target("scikit-learn's seconds (the faster run) ÷ the whole command's", seconds / whole.seconds, 5),
            report.Target("scikit-learn's seconds (the faster run) ÷ the search's", seconds / whole.search_seconds, 5),
        ]
    return [*lines, "", "| | target | measured | |", "|---|--:|--:|---|", *(target.row() for target in targets)]


def _scikit_learn(points: int, folder: Path) -> tuple[list[str], float]:
    """scikit-learn in float32 (as the vectors are stored) and in float64: its rows, and the seconds of the faster."""
    rows, seconds = list[str](), list[float]()
    ours = pq.read_table(folder / f"out-{points}" / "labels.parquet")["label"].to_pylist()
    for kind in ("float32", "float64"):
        print(f"scikit-learn, {kind} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.sections.cluster_job"]
        command += ["--sklearn", str(folder / f"{points}.parquet"), kind]
        theirs = json.loads(subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout)
        same = "the same labels" if theirs["labels"] == ours else "**not the same labels**"
        seconds.append(theirs["seconds"])
        rows.append(
            f"| scikit-learn, n_jobs=-1, {kind}: {same} | {points:,} | {seconds[-1]:.1f} | – | {DIMENSIONS} | – "
            f"| {theirs['peak_bytes'] / 1e6:.0f} | all |"
        )
    return rows, min(seconds)


def draw_vectors(path: Path, count: int) -> None:
    """Write vectors in clusters of A_CLUSTER, with members near and far, as parquet; the same ones at every call."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((count // A_CLUSTER, DIMENSIONS), dtype=np.float32)
    kind = pa.list_(pa.float32(), DIMENSIONS)
    schema = pa.schema([("image_id", pa.int64()), ("embedding", kind)])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for start in range(0, count, PART):
            size = min(PART, count - start)
            points = rng.standard_normal((size, DIMENSIONS), dtype=np.float32)
            points *= rng.uniform(0.3, 1.2, size=(size, 1)).astype(np.float32)
            points += centres[rng.integers(len(centres), size=size)]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(points.reshape(-1)), DIMENSIONS)
            writer.write_table(pa.table([np.arange(start, start + size), lists], schema=schema))


def run_job(source: Path, output: Path, *options: str) -> JobMeasurement:
    """Run the job on drawn vectors as a user does where no Ray runs; raises RuntimeError when it fails."""
    print(f"{source.name} {' '.join(options)} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "jobs.clustering", "--in-process", f"--input={source}", f"--output={output}"]
    command += [f"--eps={EPS}", f"--min-samples={MIN_SAMPLES}", *options]
    folder = output.with_name(f"{output.name}-processes")
    folder.mkdir()
    env = outside_ray() | {"BENCHMARK_FOLDER": str(folder)}
    started, peak = time.perf_counter(), 0
    tree = ProcessTree(command, cwd=PROJECT, env=env, log=folder / "log.txt", folder=folder)
    try:
        while (status := tree.wait(1.0)) is None:
            peak = max(peak, tree.memory_bytes())
        seconds = time.perf_counter() - started
    finally:
        tree.stop()
    if status:
        raise RuntimeError(tree.tail())
    return JobMeasurement(seconds, peak, json.loads((output / "manifest.json").read_text()))


def _limit() -> float:
    """GFLOP/s of the matrix product alone, with one BLAS thread on each core."""
    code = "from benchmarks.sections.cluster_job import product; product()"
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=env, check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def product() -> None:
    """Multiply for five seconds and print the GFLOP/s; the BLAS must be limited to one thread."""
    rng = np.random.default_rng(SEED)
    columns = rng.standard_normal((64, 1024, DIMENSIONS), dtype=np.float32)
    ends = time.perf_counter() + 5
    counts = [0] * CORES

    def multiply(number: int) -> None:
        rows, out = columns[number].copy(), np.empty((1024, 1024), np.float32)
        while time.perf_counter() < ends:
            np.matmul(rows, columns[counts[number] % len(columns)].T, out=out)
            counts[number] += 1

    started = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(multiply, range(CORES)))
    print(sum(counts) * 2 * 1024 * 1024 * DIMENSIONS / (time.perf_counter() - started) / 1e9)


def _sklearn(source: Path, kind: str) -> dict[str, Any]:
    from sklearn.cluster import DBSCAN

    column = pq.read_table(source)["embedding"].combine_chunks()
    vectors = column.flatten().to_numpy().astype(kind).reshape(-1, DIMENSIONS)
    started = time.perf_counter()
    labels = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="cosine", n_jobs=-1).fit_predict(vectors)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_bytes": memory_of_this("VmHWM"), "labels": labels.tolist()}


if __name__ == "__main__":
    cli.run(main)
