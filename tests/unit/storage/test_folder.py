"""Files in a local or remote folder: complete or absent, and never outside the folder."""

import os
import pickle
import time
import uuid
from pathlib import Path

import fsspec
import pytest

from deployments.storage.files import ABANDONED_AFTER_S
from deployments.storage.folder import Folder, NotBelow


def folder_at(url: str) -> Folder:
    return Folder(*fsspec.core.url_to_fs(url))


@pytest.fixture(params=["folder", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    urls = {"folder": f"{tmp_path}/out/", "file": f"file://{tmp_path}/out", "memory": f"memory://{uuid.uuid4().hex}"}
    return folder_at(urls[request.param])


def test_files_are_written_read_listed_and_deleted(folder: Folder) -> None:
    assert (folder.size("a/b"), folder.find()) == (None, [])
    folder.write("a/b", "parts/1", b"before")
    folder.write("a/b", "parts/2", memoryview(b"data"))
    folder.write("c", "parts/3", b"")
    assert (folder.size("a/b"), folder.size("c")) == (4, 0)
    assert (folder.read("a/b"), folder.read("a/b", 1, 3)) == (b"data", b"at")
    with folder.open("a/b") as file:
        assert file.read() == b"data"
    assert (folder.find(), folder.find("a"), folder.find("nowhere")) == (["a/b", "c"], ["a/b"], [])
    for _ in range(2):
        folder.delete("a/b")
    assert folder.find() == ["c"]
    for read in (folder.read, folder.open):
        with pytest.raises(FileNotFoundError):
            read("a/b")


def test_files_are_moved_over_others(folder: Folder) -> None:
    for path, data in (("aside/a", b"new"), ("done/a", b"old"), ("done/c", b"3")):
        folder.write(path, f"parts/{path}", data)
    for _ in range(2):
        folder.move({"aside/a": "done/a", "aside/none": "done/none"})
        assert (folder.find(), folder.read("done/a")) == (["done/a", "done/c"], b"new")


def test_it_can_be_pickled(folder: Folder) -> None:
    pickle.loads(pickle.dumps(folder)).write("a", "part", b"1")  # noqa: S301 - our own
    assert folder.read("a") == b"1"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b"])
def test_a_path_stays_below(folder: Folder, path: str) -> None:
    folder.write("a", "part", b"")
    for work in (folder.read, folder.open, folder.size, folder.delete):
        with pytest.raises(NotBelow):
            work(path)
    for target, part in ((path, "part"), ("a", path)):
        if folder.local:
            with pytest.raises(NotBelow):
                folder.write(target, part, b"")
    with pytest.raises(NotBelow):
        folder.move({"a": path})


def test_a_write_that_fails_leaves_what_was_there_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_at(str(tmp_path))
    folder.write("a", "parts/1", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write("a", "parts/2", b"new")
    assert (folder.find(), folder.read("a")) == (["a"], b"old")


def test_a_file_gets_its_name_when_all_of_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, seen = folder_at(str(tmp_path)), list[list[str]]()
    synchronise = os.fsync

    def watched(descriptor: int) -> None:
        synchronise(descriptor)
        seen.append(sorted(folder.find()))

    monkeypatch.setattr(os, "fsync", watched)
    folder.write("done/a", "parts/1", b"data")
    assert ["parts/1"] in seen
    assert seen[-1] == ["done/a"]
    assert not any({"done/a", "parts/1"} <= set(names) for names in seen)


def test_old_parts_are_removed_and_young_ones_are_not(tmp_path: Path) -> None:
    folder = folder_at(str(tmp_path))
    for name in ("old", "young", "other"):
        folder.write(f"parts/{name}", f"first/{name}", b"half")
    for name in ("old", "other"):
        os.utime(tmp_path / "parts" / name, (0, time.time() - ABANDONED_AFTER_S - 1))
    folder.remove_abandoned("parts/o*d")
    assert folder.find() == ["parts/other", "parts/young"]
    folder_at(f"memory://{uuid.uuid4().hex}").remove_abandoned("*")
