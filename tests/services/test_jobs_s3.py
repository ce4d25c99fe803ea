"""The jobs on S3: images read from a bucket, results written to it, and the error when the bucket does not exist."""

import uuid
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from configs.settings import load_settings
from jobs.analyze import __main__ as command
from jobs.runtime.errors import JobRefused
from jobs.runtime.output import Output, open_output
from testbed.doubles.model_handles import handles
from testbed.doubles.s3 import BUCKET, S3Server
from tests.unit.analyze.run import picture


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URL in the bucket; its endpoint and credentials are in the environment, as in use."""
    s3_files = fsspec.get_filesystem_class("s3")
    s3_files.clear_instance_cache()
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    yield f"s3://{BUCKET}/{uuid.uuid4().hex}"
    s3_files.clear_instance_cache()


def test_files_of_a_bucket_are_written_listed_and_read(bucket: str) -> None:
    output = open_output(bucket)
    output.write_table("images/date=2023-01-01/a.parquet", pa.table({"a": [1, 2]}))
    output.write_json("manifest.json", {"images": 2})
    assert output.list() == Output(bucket).list() == ["images/date=2023-01-01/a.parquet", "manifest.json"]
    assert output.read_json("manifest.json") == {"images": 2}
    table = output.read_table("images/date=2023-01-01/a.parquet", ["a"])
    assert table is not None
    assert table["a"].to_pylist() == [1, 2]
    output.move({"manifest.json": "done/manifest.json", "none": "done/none"})
    assert output.list() == ["done/manifest.json", "images/date=2023-01-01/a.parquet"]
    output.delete("done/manifest.json")
    assert output.read_json("done/manifest.json") is None


def test_a_bucket_of_images_is_analysed(bucket: str) -> None:
    source = Output(f"{bucket}/in")
    for number in range(12):
        source.write_bytes(f"album {number % 2}/{number}.png", b"broken" if number == 7 else picture(number))
    options = command.parse(
        [f"--input={bucket}/in", f"--output={bucket}/out", "--analyses=blur,embedding", "--part-size=5"]
    )
    models = {name: handles()[name] for name in ("Blur", "Clip")}
    assert command.analyze(options, load_settings(), models, 0) == 0
    files, path = fsspec.core.url_to_fs(f"{bucket}/out/images")
    rows = ds.dataset(path, filesystem=files, partitioning="hive").to_table().to_pylist()
    assert len({row["path"] for row in rows}) == 12
    assert [row["path"] for row in rows if row["error"]] == ["album 1/7.png"]
    asked = models["Clip"].calls["embed_images"]
    assert command.analyze(options, load_settings(), models, 0) == 0
    assert models["Clip"].calls["embed_images"] == asked


def test_a_missing_bucket_is_reported(bucket: str) -> None:
    with pytest.raises(JobRefused, match="s3://no-such-bucket/out cannot be written") as refused:
        open_output("s3://no-such-bucket/out")
    assert "\n" not in str(refused.value)
