"""Files below a folder of this machine or of any file system of fsspec, written atomically.

In a folder of this machine a file is written under another name, synchronised, and renamed; an object store shows an
object only when it is complete. fsspec itself is not imported here.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployments.storage import files


class NotBelow(ValueError):
    """A path that leads out of the folder, or to the folder itself."""


class Folder:
    """Files by their path below a folder. It can be pickled.

    Every method may raise what the file system raises, and NotBelow.

    Attributes:
        local: whether it is a folder of this machine.
    """

    def __init__(self, file_system: Any, root: str, *, private: bool = False) -> None:
        """Nothing is read or written yet.

        Args:
            file_system: one of fsspec.
            root: a folder in it; on this machine the first write creates it.
            private: on this machine, whether what is written is for its owner alone (modes 0700 and 0600).
        """
        self._files, self._root, self._private = file_system, root, private
        protocol = file_system.protocol
        self.local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def write(self, path: str, part: str, data: bytes | memoryview) -> None:
        """Write a file, replacing one that is there.

        Args:
            path: of the file.
            part: a new path for the temporary file, used on this machine only.
            data: its whole content.
        """
        if self.local:
            files.write(Path(self.place(path)), Path(self.place(part)), data, private=self._private)
        else:
            self._files.pipe_file(self.place(path), bytes(data))

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """A file's bytes, from `start` until before `end`; FileNotFoundError where there is none."""
        data: bytes = self._files.cat_file(self.place(path), start=start, end=end)
        return data

    def open(self, path: str) -> Any:
        """A file to read in parts, as a context manager; FileNotFoundError where there is none."""
        return self._files.open(self.place(path), "rb")

    def size(self, path: str) -> int | None:
        """A file's size in bytes; None where there is none."""
        try:
            return int(self._files.info(self.place(path))["size"])
        except FileNotFoundError:
            return None

    def delete(self, path: str) -> None:
        """Delete a file; a file that does not exist is no error."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self.place(path))

    def find(self, folder: str = "") -> list[str]:
        """The sorted paths of all files below `folder`; empty where there is no such folder."""
        self._files.invalidate_cache()
        try:
            found = self._files.find(self.place(folder) if folder else self._root)
        except FileNotFoundError:
            return []
        return sorted(place[len(self._root) :].lstrip("/") for place in found)

    def move(self, targets: Mapping[str, str]) -> None:
        """Move files to their targets, replacing existing files; a file that does not exist is no error."""
        places = {self.place(path): self.place(target) for path, target in targets.items()}
        if self.local:
            files.move({Path(place): Path(target) for place, target in places.items()}, private=self._private)
            return
        for place, target in places.items():
            with suppress(FileNotFoundError):
                self._files.cp_file(place, target)
                self._files.rm_file(place)

    def remove_abandoned(self, pattern: str) -> None:
        """Remove the temporary files of killed processes after an hour, by a `glob` pattern; on this machine only."""
        if self.local:
            files.remove_abandoned(Path(self._root).glob(pattern))

    def place(self, path: str) -> str:
        """The path of a file in the file system; NotBelow for a path that leads out of the folder."""
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise NotBelow(f"{path!r} is not a path below the folder")
        return f"{self._root.rstrip('/')}/{path}"
