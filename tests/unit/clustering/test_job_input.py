"""What `jobs.clustering` reads and writes: parquet of other jobs, and one clear line for each mistake."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.cluster import DBSCAN

from configs.project import PROJECT
from jobs.clustering import approximate
from jobs.clustering.__main__ import _options, run
from jobs.clustering.vectors import Columns, Source, collect
from jobs.runtime.errors import JobRefused
from tests.unit.clustering.test_job import with_noise

COUNT, DIMENSIONS = 1250, 16


class Blocks(list[Any]):
    """A store in the memory of this process."""

    def blocks(self) -> list[Any]:
        return self


def vectors(seed: int = 0) -> np.ndarray:
    return with_noise(np.random.default_rng(seed), COUNT * 4 // 5, DIMENSIONS, 0.4).astype(np.float32)


def table(points: np.ndarray, first: int = 0, **columns: Any) -> pa.Table:
    ids = [f"image-{number}" for number in range(first, first + len(points))]
    return pa.table({"image_id": ids, "embedding": pa.array(points.tolist(), pa.list_(pa.float32())), **columns})


def clustered(source: Path | str, output: Path | str, *options: str) -> dict[str, Any]:
    """The manifest of an exact run without Ray: every cell is searched."""
    cells = ["--approximate", "--nlist", "10", "--nprobe", "10"]
    assert run(_options([f"--input={source}", f"--output={output}", "--eps=0.1", *cells, *options])) == 0
    with fsspec.open(f"{output}/manifest.json") as file:
        manifest: dict[str, Any] = json.load(file)
    return manifest


def expected(points: np.ndarray, eps: float = 0.1, min_samples: int = 2) -> DBSCAN:
    return DBSCAN(eps=eps, min_samples=min_samples, metric="cosine").fit(points.astype(np.float64))


def test_a_folder_as_other_jobs_write_it(tmp_path: Path) -> None:
    """Partitions, a job's own files, rows of failed images; labels follow the order of the file names."""
    points = vectors()
    parts = np.array_split(points, 3)
    for day, part in enumerate(parts):
        folder = tmp_path / "in" / f"date=2023-01-0{day + 1}"
        folder.mkdir(parents=True)
        written = table(part, first=10_000 * day)
        failed = pa.table({"image_id": [f"failed-{day}"], "embedding": [None]}).cast(written.schema)
        pq.write_table(pa.concat_tables([failed, written]), folder / "images.parquet")
    (tmp_path / "in" / "_blocks").mkdir()
    for name in ("_blocks/a.parquet", ".part.parquet", "notes.txt"):
        (tmp_path / "in" / name).write_text("not parquet")
    manifest = clustered(tmp_path / "in", tmp_path / "out", "--min-samples=4")
    labels = pq.read_table(tmp_path / "out" / "labels.parquet").to_pydict()
    model = expected(points, min_samples=4)
    assert labels["label"] == model.labels_.tolist()
    assert [index for index, core in enumerate(labels["is_core"]) if core] == model.core_sample_indices_.tolist()
    assert labels["id"][len(parts[0])] == "image-10000"
    assert (manifest["vectors"], manifest["skipped"], manifest["dimensions"]) == (COUNT, 3, DIMENSIONS)
    assert manifest["noise"] == (model.labels_ == -1).sum() > 0
    assert manifest["recall"]["share"] == 1
    clusters = pq.read_table(tmp_path / "out" / "clusters.parquet").to_pylist()
    assert [one["size"] for one in clusters] == np.bincount(model.labels_[model.labels_ >= 0]).tolist()
    assert all(labels["label"][labels["id"].index(one["typical_id"])] == one["label"] for one in clusters)
    assert sum(one["core_points"] for one in clusters) == manifest["core_points"]


@pytest.mark.parametrize("kind", ["list", "large_list", "fixed", "double", "half"])
def test_vectors_in_any_list_of_floats(kind: str, tmp_path: Path) -> None:
    points = vectors().astype({"double": np.float64, "half": np.float16}.get(kind, np.float32))
    flat = pa.array(points.reshape(-1))
    ends = np.arange(COUNT + 1) * DIMENSIONS
    if kind == "fixed":
        lists = pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS)
    elif kind == "large_list":
        lists = pa.LargeListArray.from_arrays(pa.array(ends), flat)
    else:
        lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), flat)
    pq.write_table(pa.table({"number": range(COUNT), "v": lists}), tmp_path / "in.parquet")
    source = Source(str(tmp_path / "in.parquet"), Columns("number", "v"))
    read, held = collect(source, Blocks())
    assert read.ids.to_pylist() == list(range(COUNT))
    assert np.concatenate(held.blocks).tolist() == points.tolist()
    assert [len(block) for block in held.blocks] == [1024, COUNT - 1024]
    assert held.some(np.array([1249, 3, 1024])).exact()[1].tolist() == held.units(0).exact()[3].tolist()


def test_any_url() -> None:
    files = fsspec.filesystem("memory")
    with files.open("/cluster-in/a.parquet", "wb") as file:
        pq.write_table(table(vectors()), file)
    manifest = clustered("memory://cluster-in", "memory://cluster-out")
    assert manifest["clusters"] == expected(vectors()).labels_.max() + 1
    assert files.exists("/cluster-out/report.html")


def test_the_best_near_duplicate_has_the_highest_quality(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    points = np.repeat(rng.standard_normal((40, 32)), 3, axis=0) + 0.01 * rng.standard_normal((120, 32))
    quality = rng.permutation(120).astype(float)
    known: list[float | None] = [None if number % 3 == 2 else float(quality[number]) for number in range(120)]
    pq.write_table(table(points.astype(np.float32), quality_technical=known), tmp_path / "in.parquet")
    manifest = clustered(tmp_path / "in.parquet", tmp_path / "out", "--min-samples=10", "--near-duplicates=0.01")
    assert (manifest["near_duplicate_groups"], manifest["noise"]) == (40, 120)
    rows = pq.read_table(tmp_path / "out" / "near_duplicates.parquet").to_pylist()
    assert len(rows) == 120
    for group in range(40):
        members = [row for row in rows if row["group"] == group]
        best = max(members, key=lambda row: -1 if row["quality"] is None else row["quality"])
        assert [row["is_best"] for row in members] == [row is best for row in members]
        assert best["distance_to_best"] == pytest.approx(0, abs=1e-12)
        assert all(0 < row["distance_to_best"] < 0.01 for row in members if row is not best)


def test_the_report_shows_pictures(tmp_path: Path) -> None:
    points = vectors()
    (tmp_path / "in" / "kept").mkdir(parents=True)
    paths = [f"kept/{number}.png" for number in range(COUNT)]
    for number in range(0, COUNT, 2):
        Image.new("RGB", (20, 10), (number % 256, 9, 9)).save(tmp_path / "in" / paths[number])
    (tmp_path / "outside.png").write_bytes((tmp_path / "in" / paths[0]).read_bytes())
    paths[2] = "../outside.png"
    quality = np.random.default_rng(0).uniform(1, 10, COUNT).tolist()
    columns = {"kept": paths, "quality_technical": quality, "weights": ["<b>weights</b>"] * COUNT}
    pq.write_table(table(points, **columns), tmp_path / "in" / "images.parquet")
    manifest = clustered(tmp_path / "in", tmp_path / "out", "--near-duplicates=0.03")
    page = (tmp_path / "out" / "report.html").read_text()
    assert manifest["weights"] == "<b>weights</b>"
    assert "<b>weights" not in page
    assert "&lt;b&gt;weights" in page
    for said in (
        "Clusters by size",
        "Projection",
        "Largest clusters",
        "Near-duplicates",
        "pictures are broken or not there",
    ):
        assert said in page
    assert page.count("data:image/jpeg;base64,") > 20
    assert "<circle" in page


def test_without_pictures_near_duplicates_are_listed_or_omitted(tmp_path: Path) -> None:
    pq.write_table(table(vectors()), tmp_path / "in.parquet")
    clustered(tmp_path / "in.parquet", tmp_path / "out")
    assert "<h2>Near-duplicates</h2>" in (tmp_path / "out" / "report.html").read_text()
    manifest = clustered(tmp_path / "in.parquet", tmp_path / "out", "--near-duplicates=0")
    assert manifest["near_duplicate_groups"] is None
    assert not (tmp_path / "out" / "near_duplicates.parquet").exists()
    assert "Near-duplicates" not in (tmp_path / "out" / "report.html").read_text()


def test_a_finished_run_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out"
    pq.write_table(table(vectors()), source)
    first = clustered(source, output)
    assert clustered(source, output) == first
    assert "holds this very clustering: --force does it again" in capsys.readouterr().out
    clustered(source, output, "--force")
    assert "holds this very clustering" not in capsys.readouterr().out
    assert clustered(source, output, "--min-samples=3")["signature"] != first["signature"]
    pq.write_table(table(vectors(seed=1)), source)
    again = clustered(source, output)
    assert again["signature"] != first["signature"]
    assert again["clusters"] == expected(vectors(seed=1)).labels_.max() + 1


def test_other_pictures_or_quality_give_a_new_report(tmp_path: Path) -> None:
    source, signatures = tmp_path / "in.parquet", set()
    for columns in ({}, {"path": ["a.png"] * COUNT}, {"quality_technical": [1.0] * COUNT}, {"weights": ["w"] * COUNT}):
        pq.write_table(table(vectors(), **columns), source)
        signatures.add(clustered(source, tmp_path / "out")["signature"])
        signatures.add(clustered(source, tmp_path / "out", f"--pictures={tmp_path}")["signature"])
    assert len(signatures) == 8


def test_leftover_block_rows_of_a_finished_run_are_not_reused(tmp_path: Path) -> None:
    """The run was killed while it deleted them: those that are left depend on deleted ones."""
    pq.write_table(table(vectors()), tmp_path / "in.parquet")
    rows = tmp_path / "out" / "_blocks" / clustered(tmp_path / "in.parquet", tmp_path / "out")["signature"]
    other = rows.with_name("0123")
    for options, left in (([], [other]), (["--min-samples=3", "--near-duplicates=0"], []), (["--force"], [])):
        for folder in (rows, other):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "000000.npz").write_bytes(b"of a search")
        clustered(tmp_path / "in.parquet", tmp_path / "out", *options)
        assert [path.parent for path in rows.parent.glob("*/*.npz")] == left


def one_changed(**change: Any) -> pa.Table:
    """A small table in which the embedding of row 3, or whole columns, are as given."""
    points: list[Any] = vectors()[:6].tolist()
    if "embedding" in change:
        points[3] = change.pop("embedding")
    columns: dict[str, Any] = {"image_id": list("abcdef"), "embedding": pa.array(points, pa.list_(pa.float32()))}
    return pa.table(columns | change)


WRONG: dict[str, tuple[pa.Table, str]] = {
    "no id column": (one_changed().rename_columns(["name", "embedding"]), "no column 'image_id'; it has name"),
    "no vector column": (one_changed().drop_columns(["embedding"]), "no column 'embedding'"),
    "no lists": (one_changed().drop_columns(["embedding"]).append_column("embedding", [[1.0] * 6]), "does not hold lists of floating"),
    "lists of integers": (one_changed().drop_columns(["embedding"]).append_column("embedding", [[[1]] * 6]), "does not hold lists of floating"),
    "ids of floats": (one_changed(image_id=[0.5] * 6), "does not hold texts or whole numbers"),
    "an id is missing": (one_changed(image_id=["a", None, *"cdef"]), "has a vector and no image_id"),
    "an id occurs twice": (one_changed(image_id=list("abcdeb")), "id b occurs 2 times"),
    "another dimension": (one_changed(embedding=[1.0, 2.0]), "vector of d has 2 numbers, others have 16"),
    "not a number": (one_changed(embedding=[float("nan")] * 16), "vector of d has no direction"),
    "infinite": (one_changed(embedding=[float("inf")] * 16), "vector of d has no direction"),
    "zero": (one_changed(embedding=[0.0] * 16), "vector of d has no direction"),
    "a number is missing": (one_changed(embedding=[None, *[1.0] * 15]), "has an empty place"),
    "a vector of no numbers": (one_changed(embedding=[]), "vector of d has no numbers"),
    "two models": (one_changed(weights=[*["one"] * 5, "two"]), "vectors of two models, one and two"),
    "no vector at all": (one_changed().slice(0, 0), "has no vector"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_invalid_input_is_refused(name: str, tmp_path: Path) -> None:
    written, message = WRONG[name]
    pq.write_table(written, tmp_path / "in.parquet")
    with pytest.raises(JobRefused, match=message) as refused:
        clustered(tmp_path / "in.parquet", tmp_path / "out")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("role", "holds"), [("weights", "texts"), ("picture", "texts"), ("quality", "numbers")])
def test_a_column_of_another_type_is_refused_by_name(role: str, holds: str, tmp_path: Path) -> None:
    pq.write_table(
        one_changed(weights=[True] * 6, kept=[True] * 6, quality_technical=["good"] * 6), tmp_path / "in.parquet"
    )
    clustered(tmp_path / "in.parquet", tmp_path / "out", "--nlist=2")
    name = {"weights": "weights", "picture": "kept", "quality": "quality_technical"}[role]
    with pytest.raises(JobRefused, match=f"column '{name}' does not hold {holds}"):
        clustered(tmp_path / "in.parquet", tmp_path / "out", f"--{role}-column={name}")


def test_inconsistent_or_broken_files_are_refused(tmp_path: Path) -> None:
    pq.write_table(table(vectors()), tmp_path / "a.parquet")
    numbered = table(vectors()).set_column(0, "image_id", [range(COUNT)])
    pq.write_table(numbered, tmp_path / "b.parquet")
    with pytest.raises(JobRefused, match="'image_id' is int64 or string, by file"):
        clustered(tmp_path, tmp_path / "out")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(JobRefused, match=r"cannot be read at b\.parquet"):
        clustered(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--eps=0"], "0 is no cosine distance"),
        (["--eps=2.5"], "2.5 is no cosine distance"),
        (["--eps=nan"], "nan is no cosine distance"),
        (["--eps=near"], "near is no cosine distance"),
        (["--min-samples=0"], "'0' is not a whole number from 1 to 256"),
        (["--workers=all"], "'all' is not a whole number of 0 or more"),
        (["--near-duplicates=3"], "3 is no cosine distance"),
        (["--nprobe=4"], "are for --approximate"),
    ],
)
def test_invalid_options_are_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _options(["--input=in", "--output=out", *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_without_faiss_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "find_spec", lambda name: None)
    with pytest.raises(JobRefused, match=r"needs FAISS: pip install 'panoptes\[faiss\]'"):
        clustered(tmp_path / "not-there.parquet", tmp_path / "out")


def test_an_error_is_one_line_and_status_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.clustering", f"--input={tmp_path}", f"--output={tmp_path}/out"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{tmp_path} holds no parquet file: name a file, or a folder with some below it.\n"


@pytest.mark.parametrize(
    ("rows", "labels"),
    [([[1.0]], [-1]), ([[1.0, 2.0], [1.0, 2.1]], [0, 0]), ([[1.0], [-1.0], [2.0]], [0, -1, 0])],
)
def test_few_vectors(rows: list[list[float]], labels: list[int], tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": range(len(rows)), "embedding": rows}), tmp_path / "in.parquet")
    assert run(_options([f"--input={tmp_path}/in.parquet", f"--output={tmp_path}/out", "--approximate"])) == 0
    assert pq.read_table(tmp_path / "out" / "labels.parquet")["label"].to_pylist() == labels
