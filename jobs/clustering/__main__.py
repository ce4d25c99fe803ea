"""Cluster the embeddings of other jobs: `python -m jobs.clustering --input data/koop --output data/clusters`.

Exact DBSCAN of millions of vectors by cosine distance, with the same labels as scikit-learn's. It compares all pairs of
vectors block by block, in memory linear in the number of vectors, and needs no running application. If Ray runs here or
at RAY_ADDRESS, it spreads the blocks over Ray's nodes, otherwise over the cores of this machine. It uses free GPUs, and
continues where it was interrupted. `--approximate` searches an inverted file of FAISS in this process instead, and
reports the share of the edges that it found.

A point is core if it has --min-samples neighbours within --eps, itself included. Core points that are neighbours are in
the same cluster; clusters are numbered in the order of their first core points. A point that is not core belongs to the
first cluster in which it has a core neighbour.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from deployments.clustering.growth import Growth
from jobs.clustering.approximate import Approximate, Cells, require_faiss
from jobs.clustering.report import Album, report
from jobs.clustering.rows import SearchPlan, Threshold
from jobs.clustering.search import forget, search
from jobs.clustering.summary import Summary, clusters_table, duplicates_table, labels_table, summarise
from jobs.clustering.vectors import ROLES, Columns, Held, Source, collect
from jobs.clustering.workers import RayTasks, Store, Threads, joined_ray, prepare, tasks_in_ray, threads_here
from jobs.report import render
from jobs.runtime.arguments import whole
from jobs.runtime.errors import JobRefused, command_line
from jobs.runtime.output import Output, open_output
from jobs.runtime.urls import open_url

FORMAT = 1  # of saved block rows; those of another format are not used
MOST_SAMPLES = 256  # bounds memory: a point that is not core stores fewer neighbours than --min-samples
MANIFEST = "manifest.json"


def main() -> None:
    """The command line."""
    command_line(lambda: run(_options(sys.argv[1:])))


def run(options: argparse.Namespace) -> int:
    """Cluster as the options say, and return the exit status."""
    if open_url(options.input) == open_url(options.output):
        raise JobRefused("--output is what --input reads: name another folder.")
    if options.approximate:
        require_faiss()
    columns = Columns(
        options.id_column,
        options.vector_column,
        options.weights_column,
        options.picture_column,
        options.quality_column,
    )
    source = Source(options.input, columns)
    output = open_output(options.output)
    album = Album(options.pictures) if options.pictures else Album(source.folder, source.files)
    joined = None if options.approximate or options.in_process else joined_ray()
    started = time.perf_counter()
    store = Store(in_ray=joined is not None)
    points, held = collect(source, store)
    read_s = time.perf_counter() - started
    plan = SearchPlan(len(held.lengths), held.size, _thresholds(options))
    signature = _signature(source, plan, options)
    if _is_done(output, signature, force=options.force):
        print(f"{output.shown} holds this very clustering: --force does it again.")
        return 0
    _say(f"{plan.count:,} vectors of {held.dimensions} read in {read_s:.1f} s; {source.skipped:,} rows have none")
    if options.approximate:
        growths, how = _approximate(plan, held, options)
    else:
        growths, how = _exact(plan, store, held, output, signature, options, joined)
    summary = summarise(points, held, growths[0], growths[1] if len(growths) > 1 else None)
    manifest = _manifest(source, held, summary, options) | how | {"read_s": round(read_s, 3), "signature": signature}
    _write(output, summary, held, manifest, album)
    print(_result(manifest, output))
    return 0


def _is_done(output: Output, signature: str, *, force: bool) -> bool:
    """Whether the output already holds this clustering. Block rows that must not be reused are deleted."""
    if force:
        forget(output)
        return False
    manifest = output.read_json(MANIFEST)
    done = manifest.get("signature") if isinstance(manifest, dict) else None
    if done:
        # A run that was killed after writing its manifest has deleted only some block rows. The rest cannot be reused,
        # because they leave out what the deleted ones had found.
        forget(output, done)
    return bool(done == signature)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.clustering", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    what = "a parquet file, a folder of them, or the output of another job; any URL of fsspec"
    add("--input", required=True, metavar="URL", help=what)
    add("--output", required=True, metavar="URL", help="a folder; any URL of fsspec")
    add("--id-column", default="image_id", metavar="NAME", help="texts or whole numbers, each once (image_id)")
    add("--vector-column", default="embedding", metavar="NAME", help="lists of floats of one length (embedding)")
    add("--weights-column", metavar="NAME", help=f"the model of each vector, the same for all ({_usual('weights')})")
    add("--picture-column", metavar="NAME", help=f"paths of pictures for the report ({_usual('picture')})")
    add("--quality-column", metavar="NAME", help=f"numbers, higher is better ({_usual('quality')})")
    add("--pictures", metavar="URL", help="the folder that these paths are relative to (the input's)")
    add("--eps", type=_distance, default=0.35, help="largest cosine distance between neighbours, up to 2 (0.35)")
    add("--min-samples", type=whole(1, MOST_SAMPLES), default=2, help="neighbours of a core point, with itself (2)")
    add(
        "--near-duplicates",
        type=_distance_or_none,
        default=0.05,
        metavar="DISTANCE",
        help="largest cosine distance between near-duplicates; 0: do not search them (0.05)",
    )
    add(
        "--workers",
        type=whole(0),
        default=0,
        help="block rows to search in parallel (0: four per free GPU, or without a GPU one per free core)",
    )
    add("--in-process", action="store_true", help="use the cores and GPUs of this machine even if Ray runs here")
    add("--force", action="store_true", help="start again, even if the output is complete or partly done")
    add(
        "--approximate",
        action="store_true",
        help="search an index of FAISS; cannot be resumed; the share of edges found is measured",
    )
    add("--nlist", type=whole(1), help="cells of the index (about 2 √n)")
    add("--nprobe", type=whole(1), help="cells searched per vector (8)")
    options = parser.parse_args(arguments)
    if not options.approximate and (options.nlist or options.nprobe):
        parser.error("--nlist and --nprobe are for --approximate")
    return options


def _exact(
    plan: SearchPlan,
    store: Store,
    held: Held,
    output: Output,
    signature: str,
    options: argparse.Namespace,
    joined: str | None,
) -> tuple[list[Growth], dict[str, Any]]:
    workers = tasks_in_ray(options.workers) if joined else threads_here(options.workers)
    where = joined or "threads of this process"
    _say(f"Exact search: {plan.rows:,} block rows in {where}, {workers}")
    started = time.perf_counter()
    searching = prepare(plan, store, held, workers)
    pool = RayTasks(searching, workers) if joined else Threads(searching, workers)
    searched = search(plan, pool, workers.count, output, signature)
    seconds = time.perf_counter() - started
    return searched.growths, {
        "method": "exact",
        "where": where,
        "workers": asdict(workers),
        "devices": sorted(searched.devices),
        "block_rows": plan.rows,
        "resumed_block_rows": searched.resumed,
        "search_s": round(seconds, 3),
        "multiplied_dimensions": searching.width,
        "gflops": round(2 * searching.width * searched.compared / seconds / 1e9, 1),
        "recall": None,
    }


def _approximate(plan: SearchPlan, held: Held, options: argparse.Namespace) -> tuple[list[Growth], dict[str, Any]]:
    cells = Cells.chosen(plan.count, options.nlist, options.nprobe)
    _say(f"Approximate search: {cells.nprobe} of {cells.nlist:,} cells for each vector")
    started = time.perf_counter()
    approximate = Approximate(plan, held, cells)
    growths = approximate.search()
    seconds = time.perf_counter() - started
    recall = approximate.recall()
    return growths, {
        "method": "approximate",
        **asdict(cells),
        "search_s": round(seconds, 3),
        "recall": asdict(recall) | {"share": recall.share},
    }


def _thresholds(options: argparse.Namespace) -> tuple[Threshold, ...]:
    clusters = Threshold(options.eps, options.min_samples)
    return (clusters, Threshold(options.near_duplicates, 2)) if options.near_duplicates else (clusters,)


def _signature(source: Source, plan: SearchPlan, options: argparse.Namespace) -> str:
    """A hash of everything that the result depends on. Block rows of the same signature can be reused."""
    decides = [FORMAT, source.signature, source.weights, options.pictures, plan.block, plan.thresholds]
    if options.approximate:
        decides += [options.nlist, options.nprobe]
    return hashlib.blake2b(json.dumps(decides).encode(), digest_size=16).hexdigest()


def _manifest(source: Source, held: Held, summary: Summary, options: argparse.Namespace) -> dict[str, Any]:
    duplicates = summary.duplicates
    return {
        "input": source.shown,
        "vectors": len(held.lengths),
        "dimensions": held.dimensions,
        "skipped": source.skipped,
        "weights": source.weights,
        "eps": options.eps,
        "min_samples": options.min_samples,
        "near_duplicate_distance": options.near_duplicates,
        "clusters": len(summary.clusters.sizes),
        "core_points": int(summary.core.sum()),
        "noise": summary.noise,
        "near_duplicate_groups": None if duplicates is None else len(duplicates.groups.sizes),
    }


def _write(output: Output, summary: Summary, held: Held, manifest: dict[str, Any], album: Album) -> None:
    """Write the results. The manifest comes last: if it exists, all other files do."""
    output.delete(MANIFEST)
    output.write_table("labels.parquet", labels_table(summary))
    output.write_table("clusters.parquet", clusters_table(summary))
    if summary.duplicates is None:
        output.delete("near_duplicates.parquet")
    else:
        output.write_table("near_duplicates.parquet", duplicates_table(summary, summary.duplicates, held))
    output.write_bytes("report.html", render(report(summary, held, manifest, album)))
    output.write_json(MANIFEST, manifest)
    forget(output)


def _result(manifest: dict[str, Any], output: Output) -> str:
    said = f"{manifest['clusters']:,} clusters, {manifest['noise']:,} vectors in none; {manifest['search_s']:.1f} s"
    if recall := manifest["recall"]:
        said += f"; {recall['share']:.2%} of the edges found, of {recall['edges']:,} of {recall['queries']:,} vectors"
    else:
        said += f", {manifest['gflops']:.0f} GFLOP/s on {', '.join(manifest['devices'])}"
    return f"{said}. Written to {output.shown}: open report.html."


def _say(text: str) -> str:
    print(text, file=sys.stderr, flush=True)
    return text


def _usual(role: str) -> str:
    return " or ".join(ROLES[role].names)


def _distance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 2:
        raise argparse.ArgumentTypeError(f"{text} is no cosine distance: above 0, up to 2")
    return value


def _distance_or_none(text: str) -> float:
    return 0.0 if text in {"0", "0.0"} else _distance(text)


if __name__ == "__main__":
    main()
