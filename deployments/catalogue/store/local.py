"""A folder as the store."""

import uuid
from pathlib import Path

from deployments.catalogue.store.base import TIMEOUT_S, Store
from deployments.runtime import files


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
        files.write(self.path(key), self._unfinished / uuid.uuid4().hex, data)

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
        if not self._tidied:
            self._tidied = True
            files.remove_abandoned(self._unfinished.glob("*"))
