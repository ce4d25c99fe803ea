"""What the catalogue keeps on this machine can be read by its owner alone, whatever the umask is."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fsspec
import pytest

from configs.serving import SOURCE, write_enabled
from deployments.catalogue.sql.migrate import migrate
from deployments.catalogue.store.opening import open_store
from deployments.storage.files import PRIVATE_FILE, PRIVATE_FOLDER
from deployments.storage.folder import Folder


@pytest.fixture(autouse=True)
def everyone_may_read() -> Iterator[None]:
    """A umask that takes no permission away."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of everything below a folder, and of the folder itself."""
    return {str(path.relative_to(folder.parent)): stat.S_IMODE(path.stat().st_mode) for path in everything(folder)}


def everything(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def private(folder: Path) -> dict[str, int]:
    """The permissions as they have to be."""
    return {
        str(path.relative_to(folder.parent)): PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE
        for path in everything(folder)
    }


@pytest.mark.parametrize("scheme", ["", "file://"])
async def test_the_store(tmp_path: Path, scheme: str) -> None:
    store = open_store(f"{scheme}{tmp_path}/data/pictures")
    for data in (b"a picture", b"another one"):
        await store.put("originals/ab/cd", data)
    assert await store.get("originals/ab/cd") == b"another one"
    assert modes(tmp_path / "data") == private(tmp_path / "data")


def test_a_private_folder_stays_private_when_its_files_move(tmp_path: Path) -> None:
    folder = Folder(*fsspec.core.url_to_fs(f"{tmp_path}/data"), private=True)
    folder.write("a/b", "part", b"")
    folder.move({"a/b": "c/d"})
    assert folder.find() == ["c/d"]
    assert modes(tmp_path / "data") == private(tmp_path / "data")


def test_the_database_and_its_log(tmp_path: Path) -> None:
    database = tmp_path / "data" / "catalogue.db"
    migrate(f"sqlite:///{database}")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
        names = {path.name for path in database.parent.iterdir()}
        assert names == {"catalogue.db", "catalogue.db-wal", "catalogue.db-shm"}
        assert modes(tmp_path / "data") == private(tmp_path / "data")


def test_the_serve_config_that_is_run(tmp_path: Path) -> None:
    write_enabled(SOURCE, tmp_path / "data" / "serve_config.yaml")
    assert modes(tmp_path / "data") == private(tmp_path / "data")
