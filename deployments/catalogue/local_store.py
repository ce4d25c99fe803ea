"""A folder as the store."""

import os
import time
import uuid
from pathlib import Path

from deployments.catalogue.store import TIMEOUT_S, Store

# What a killed process leaves half written is nobody's after this long.
ABANDONED_AFTER_S = 3600.0


class LocalStore(Store):
    """Files are on the disk when `put` returns: each is written beside its place, synchronised, and renamed."""

    def __init__(self, folder: Path, timeout_s: float = TIMEOUT_S) -> None:
        """The folder is created with the first file."""
        super().__init__(timeout_s)
        self._folder = folder.expanduser().absolute()
        self._unfinished = self._folder / "unfinished"
        self._tidied = False

    def path(self, key: str) -> Path:
        return self._folder / key

    def _put(self, key: str, data: bytes) -> None:
        self._tidy()
        target, part = self.path(key), self._unfinished / uuid.uuid4().hex
        for folder in (target.parent, self._unfinished):
            _make(folder)
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _synchronise(target.parent)

    def _get(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def _range(self, key: str, start: int, end: int) -> bytes:
        with self.path(key).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _size(self, key: str) -> int | None:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            return None

    def _delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Once a process, remove what killed ones left half written."""
        if self._tidied:
            return
        self._tidied = True
        before = time.time() - ABANDONED_AFTER_S
        for part in self._unfinished.glob("*"):
            try:
                if part.stat().st_mtime < before:
                    part.unlink()
            except FileNotFoundError:  # another process tidies too
                continue


def _make(folder: Path) -> None:
    """Create a folder with its parents, so that their names are on the disk too."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _synchronise(folder.parent)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
