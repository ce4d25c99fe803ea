"""`jobs.clustering` reads the output of `jobs.analyze` unchanged: ids, weights, quality and pictures."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.runtime.errors import JobRefused
from tests.unit.analyze.run import analyze
from tests.unit.clustering.test_job_input import clustered


def test_the_output_of_an_analysis_is_clustered(photos: Path, tmp_path: Path) -> None:
    assert analyze(photos, tmp_path / "analysed", "quality,embedding", "--part-size=5") == 0
    named = ["--id-column=image_id", "--vector-column=embedding", f"--pictures={photos}"]
    manifest = clustered(tmp_path / "analysed", tmp_path / "out", *named, "--nlist=1")
    assert (manifest["vectors"], manifest["skipped"], manifest["weights"]) == (11, 1, "test/clip")
    rows = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    # The double's vectors are mean colours, and each album has pictures of one colour.
    albums = {album: {row["label"] for row in rows if row["id"].startswith(f"album {album}/")} for album in range(3)}
    assert sorted(map(len, albums.values())) == [1, 1, 1]
    assert len(set.union(*albums.values())) == 3
    assert "quality" in pq.read_schema(tmp_path / "out" / "near_duplicates.parquet").names
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.count("data:image/jpeg;base64,") == 2 * 11  # of clusters and of near-duplicates
    assert "The best by quality is marked." in report


def test_an_output_is_not_overwritten(photos: Path, tmp_path: Path) -> None:
    assert analyze(photos, tmp_path / "analysed", "embedding") == 0
    before = (tmp_path / "analysed" / "manifest.json").read_bytes()
    with pytest.raises(JobRefused, match="--output is what --input reads: name another folder"):
        clustered(tmp_path / "analysed", f"{tmp_path}/analysed/")
    assert (tmp_path / "analysed" / "manifest.json").read_bytes() == before
