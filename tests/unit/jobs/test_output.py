"""The results of a job are there complete or not at all, and nobody reads its credentials."""

import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deployments.storage.files import ABANDONED_AFTER_S
from jobs.runtime.errors import JobRefused, command_line
from jobs.runtime.output import Output, open_output
from jobs.runtime.urls import open_url, public_url

TABLE = pa.table({"path": ["a.jpg", "b.jpg"], "blur": [1.5, None]})
PART = "images/part=00000/images.parquet"
ENDLESS = """
import sys
import pyarrow as pa
from jobs.runtime.output import Output

output = Output(sys.argv[1])
for count in range(1, 1_000_000):
    output.write_table("images/part=00000/images.parquet", pa.table({"number": [count] * 200_000}))
    print(count, flush=True)
"""


@pytest.fixture(params=["folder", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    urls = {"folder": str(tmp_path / "out"), "file": f"file://{tmp_path}/out", "memory": f"memory://{uuid.uuid4().hex}"}
    return urls[request.param]


def test_what_was_written_is_read(url: str) -> None:
    output = open_output(url)
    size = output.write_table(PART, TABLE)
    output.write_json("manifest.json", {"images": 2, "name": "ë"})
    table = output.read_table(PART)
    assert table is not None
    assert table.equals(TABLE)
    assert len(output.read_bytes(PART) or b"") == size
    assert output.read_json("manifest.json") == {"images": 2, "name": "ë"}
    assert output.list() == [PART, "manifest.json"]
    assert output.list("images") == [PART]


def test_what_is_not_there(url: str) -> None:
    output = open_output(url)
    assert output.list() == output.list("nowhere") == []
    assert output.read_table(PART) is output.read_json("manifest.json") is None
    output.delete(PART)
    output.write_bytes("manifest.json", b'{"half')
    assert output.read_json("manifest.json") is None
    output.delete("manifest.json")
    assert output.list() == []


def test_files_are_moved(url: str) -> None:
    output = open_output(url)
    for path, data in (("aside/a", b"new"), ("aside/b", b"2"), ("done/x/a", b"old"), ("done/x/c", b"3")):
        output.write_bytes(path, data)
    output.move({f"aside/{name}": f"done/x/{name}" for name in "abc"})
    assert output.list() == ["done/x/a", "done/x/b", "done/x/c"]
    assert [output.read_bytes(f"done/x/{name}") for name in "abc"] == [b"new", b"2", b"3"]
    output.move({"done/x/a": "elsewhere/a"})
    assert output.list("elsewhere") == ["elsewhere/a"]


def test_a_table_is_compressed(tmp_path: Path) -> None:
    Output(str(tmp_path)).write_table("a.parquet", TABLE)
    assert pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(0).compression == "ZSTD"


def test_it_travels_to_a_task(url: str) -> None:
    pickle.loads(pickle.dumps(open_output(url))).write_bytes("a", b"1")  # noqa: S301 - our own
    assert Output(url).read_bytes("a") == b"1"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b"])
def test_a_path_stays_below(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="below"):
        Output(str(tmp_path)).write_bytes(path, b"")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = open_output(str(tmp_path))
    output.write_bytes("a", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobRefused, match="No space left"):
        output.write_bytes("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_killed_writer_leaves_no_half_file(tmp_path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(3):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        table = ds.dataset(tmp_path, partitioning="hive").to_table()
        assert table.num_rows == 200_000
        assert len(table["number"].unique()) == 1
        assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/part=*/*.parquet")) == [PART]


def test_what_a_killed_writer_left_goes_with_time(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    old, young = folder / ".a.parquet.0.part", folder / ".a.parquet.1.part"
    for part, age in ((old, ABANDONED_AFTER_S + 60), (young, 60.0)):
        part.write_bytes(b"half")
        os.utime(part, times=(time.time() - age, time.time() - age))
    output = open_output(str(tmp_path))
    assert not old.exists()
    assert young.exists()
    assert output.list() == []


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JobRefused) as refused:
        open_output(f"{tmp_path}/file/out")
    assert "\n" not in str(refused.value)
    assert "cannot be written" in str(refused.value)


@pytest.mark.parametrize("url", ["", "  ", "nosuch://bucket/prefix", "nosuch://user:secret@bucket/prefix"])
def test_a_bad_url_is_one_line_without_secrets(url: str) -> None:
    with pytest.raises(JobRefused) as refused:
        open_url(url)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_credentials_are_not_shown() -> None:
    assert public_url("s3://key:se/cret@bucket/a") == "s3://key:se/cret@bucket/a"
    assert public_url("ftp://key:secret@host/a") == "ftp://host/a"
    assert public_url("https://host/a.jpg?token=secret and more") == "https://host/a.jpg?… and more"
    assert public_url("simplecache::ftp://key:secret@host/a") == "simplecache::ftp://host/a"
    assert public_url("photos/what?.jpg") == "photos/what?.jpg"


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (JobRefused("No such folder."), 2, "No such folder.\n"),
        (KeyboardInterrupt(), 130, "Inter"),
    ],
)
def test_how_a_command_line_ends(
    outcome: int | BaseException, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with pytest.raises(SystemExit) as ended:
        command_line(run)
    assert ended.value.code == status
    assert capsys.readouterr().err.startswith(said)
