"""The clustering command of the README works on the whole output of an ingestion."""

from pathlib import Path

import pyarrow.parquet as pq

from jobs.runtime.output import Output
from testbed.doubles.koop import Drawings, KoopServer, Richness
from testbed.doubles.koop_worker import ingest, rows
from tests.services.koop.days import DAYS, DECISIONS, SEED
from tests.unit.clustering.test_job_input import clustered


async def test_the_output_of_an_ingestion_is_clustered(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "koop"))
    drawings = Drawings(count=10, side=(64, 96))
    with KoopServer(DECISIONS, seed=SEED, drawings=drawings, richness=Richness(others=5)) as koop:
        await ingest(output, koop.address, DAYS)
    images = [row for day in DAYS for row in rows(output, "images", day)]
    seen = [row["image_id"] for row in images if row["embedding"]]
    assert len({row["image_id"] for row in images}) == len(images)
    assert any(row["page"] for row in images)

    named = ["--id-column=image_id", "--vector-column=embedding"]
    manifest = clustered(tmp_path / "koop", tmp_path / "out", *named, "--min-samples=2", "--nlist=1")
    assert (manifest["vectors"], manifest["skipped"]) == (len(seen), len(images) - len(seen))
    assert manifest["weights"] == "test/lots"
    assert pq.read_table(tmp_path / "out" / "labels.parquet")["id"].to_pylist() == seen
    report = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/jpeg;base64," in report  # of those that are kept; the others are not missing
    assert "broken or not there" not in report
