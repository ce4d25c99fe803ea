"""The clustering job against scikit-learn, against the matrix product alone, and against itself at twice the size.

    python -m benchmarks.cluster_job                 # 50,000 and 100,000 × 512, and scikit-learn: 10 to 20 minutes
    python -m benchmarks.cluster_job --million       # 1,000,000 × 512 as well, approximately; with --exact exactly

Memory is the proportional set size of everything that the job started, Ray's daemons and shared memory included, at
its peak. The yardstick is the float32 product of 1024 × 512 matrices, one thread on each core, before and after.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import report
from benchmarks.processes import ProcessTree

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
CORES = len(os.sched_getaffinity(0))
DIMENSIONS, EPS, MIN_SAMPLES = 512, 0.35, 2
A_CLUSTER = 50  # points
PART = 10_000  # points drawn at a time
SEED = 2_026


@dataclass(frozen=True)
class Figure:
    """Of one run: seconds of all of it and of the search alone, and the peak of its memory."""

    seconds: float
    peak_bytes: int
    search_seconds: float
    manifest: dict[str, Any]


def main() -> None:
    """Measure, print the section and write it; or, with --sklearn, that one figure as JSON."""
    options = _options()
    if options.sklearn:
        print(json.dumps(_sklearn(options.sklearn)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        section = _section(options, Path(folder))
    print(section)
    if options.write:
        report.update_section(RESULTS, "cluster-job", section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000, help="of the larger of the two exact runs")
    parser.add_argument("--million", action="store_true", help="1,000,000 vectors approximately, too")
    parser.add_argument("--exact", action="store_true", help="1,000,000 vectors exactly, too: for a GPU")
    parser.add_argument("--only-million", action="store_true", help="nothing but the runs of 1,000,000")
    parser.add_argument("--no-sklearn", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the section into RESULTS.md")
    parser.add_argument("--folder", type=Path, help="where the vectors are written: 2 GB for a million")
    parser.add_argument("--sklearn", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _section(options: argparse.Namespace, folder: Path) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "ray", "scikit-learn", "faiss-cpu"))
    lines = [
        "## The clustering job",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {CORES} cores of {report._cpu()}, {versions}. "
        f"`python -m {' '.join(['benchmarks.cluster_job', *sys.argv[1:]])}`",
        "",
        f"Vectors of {DIMENSIONS} in clusters of {A_CLUSTER} with stragglers, eps {EPS}, min_samples {MIN_SAMPLES}. "
        "Memory is the peak of all processes, Ray's included. Seconds are of the whole command, and of its search.",
        "",
        "| | vectors | s | of it search | GFLOP/s | peak MB | edges found |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    targets: list[report.Target] = []
    if not options.only_million:
        half, whole, rows = _exact(options, folder)
        lines += rows
        targets += half + whole
    million = [*(["--approximate"] if options.million else []), *(["--workers=0"] if options.exact else [])]
    if million:
        source = folder / "million.parquet"
        _write(source, 1_000_000)
        for option in million:
            figure = _job(source, folder / "out", [option])
            lines.append(_row("approximate" if option == "--approximate" else "exact", 1_000_000, figure))
    if targets:
        lines += ["", "| | target | measured | |", "|---|--:|--:|---|", *(target.row() for target in targets)]
    return "\n".join(lines)


def _exact(options: argparse.Namespace, folder: Path) -> tuple[list[report.Target], list[report.Target], list[str]]:
    limits, figures, rows = [_limit()], dict[int, Figure](), []
    for count in (options.points // 2, options.points):
        source = folder / f"{count}.parquet"
        _write(source, count)
        figures[count] = _job(source, folder / f"out-{count}", [])
        limits.append(_limit())
        rows.append(_row("exact", count, figures[count]))
    limit = max(limits)
    rows.append(f"| the matrix product alone, {CORES} threads | – | – | – | {limit:.0f} | – | – |")
    half, whole = figures[options.points // 2], figures[options.points]
    growth = whole.search_seconds / half.search_seconds
    targets = [
        report.Target("GFLOP/s ÷ the matrix product's", whole.manifest["gflops"] / limit, 0.6),
        report.Target("search at twice the size ÷ at half", growth, 4.3, at_most=True),
        report.Target("peak memory", whole.peak_bytes / 1e9, 2, at_most=True, unit=" GB"),
    ]
    if options.no_sklearn:
        return [], targets, rows
    source = folder / f"{options.points}.parquet"
    print("scikit-learn ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cluster_job", f"--sklearn={source}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    theirs = json.loads(done.stdout)
    same = theirs["labels"] == _labels(folder / f"out-{options.points}")
    said = "the same labels" if same else "**not the same labels**"
    seconds, peak = theirs["seconds"], theirs["peak_bytes"] / 1e6
    rows.append(f"| scikit-learn, n_jobs=-1: {said} | {options.points:,} | {seconds:.1f} | – | – | {peak:.0f} | – |")
    faster = [
        report.Target("scikit-learn's seconds ÷ the job's, start of Ray included", seconds / whole.seconds, 5),
        report.Target("scikit-learn's seconds ÷ the search's", seconds / whole.search_seconds, 5),
    ]
    return faster, targets, rows


def _write(path: Path, count: int) -> None:
    """Clusters of 50, their members from close to far; the same at every call."""
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


def _job(source: Path, output: Path, options: list[str]) -> Figure:
    print(f"{source.name} {' '.join(options)} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "jobs.cluster", f"--input={source}", f"--output={output}"]
    command += [f"--eps={EPS}", f"--min-samples={MIN_SAMPLES}", *options]
    folder = output.with_name(f"{output.name}-processes")
    folder.mkdir()
    started = time.perf_counter()
    tree = ProcessTree(
        command, cwd=ROOT, env=os.environ | {"BENCHMARK_FOLDER": str(folder)}, log=folder / "log.txt", folder=folder
    )
    peak = 0
    try:
        while tree._process.poll() is None:
            peak = max(peak, tree.memory_bytes())
            time.sleep(1)
        seconds = time.perf_counter() - started
    finally:
        tree.stop()
    if tree._process.returncode:
        raise RuntimeError(tree.tail())
    manifest = json.loads((output / "manifest.json").read_text())
    return Figure(seconds, peak, manifest["search_s"], manifest)


def _row(name: str, count: int, figure: Figure) -> str:
    gflops = f"{figure.manifest['gflops']:.0f}" if "gflops" in figure.manifest else "–"
    recall = figure.manifest["recall"]
    found = f"{recall['share']:.2%}" if recall else "all"
    if recall:
        name += f", {figure.manifest['nprobe']} of {figure.manifest['nlist']:,} cells"
    return (
        f"| {name} | {count:,} | {figure.seconds:.1f} | {figure.search_seconds:.1f} | {gflops} "
        f"| {figure.peak_bytes / 1e6:.0f} | {found} |"
    )


def _limit() -> float:
    """GFLOP/s of the matrix product alone, one BLAS thread on each core."""
    code = "from benchmarks.cluster_job import product; product()"
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE)
    return float(done.stdout)


def product() -> None:
    """Multiply for five seconds and print the GFLOP/s; to be run with one thread in the BLAS."""
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


def _sklearn(source: Path) -> dict[str, Any]:
    from sklearn.cluster import DBSCAN  # type: ignore[import-untyped]  # noqa: PLC0415

    column = pq.read_table(source)["embedding"].combine_chunks()
    vectors = column.flatten().to_numpy().astype(np.float64).reshape(-1, DIMENSIONS)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            peak = max(peak, pages * os.sysconf("SC_PAGE_SIZE"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    labels = DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="cosine", n_jobs=-1).fit_predict(vectors)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return {"seconds": seconds, "peak_bytes": peak, "labels": labels.tolist()}


def _labels(output: Path) -> list[int]:
    labels: list[int] = pq.read_table(output / "labels.parquet")["label"].to_pylist()
    return labels


if __name__ == "__main__":
    main()
