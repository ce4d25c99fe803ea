"""The folder of a job's results, at any fsspec URL. A reader finds a file complete or not at all.

On the local disk, a file is written beside its target under a name that starts with a dot, synchronised and renamed. An
object store shows an object only once it is complete. A glob such as `table/date=*/*.parquet`, or a reader of parquet
datasets, skips files and folders whose names start with `.` or `_`.
"""

import io
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deployments.runtime import files
from jobs.runtime.errors import JobRefused
from jobs.runtime.urls import open_url, public_url, refused

PART = ".part"
PROBE = "_writable"


class Output:
    """Reads and writes files by their path below the folder, such as `images/part=00000/images.parquet`.

    Can be pickled for a Ray task. All methods raise JobRefused if the folder cannot be read or written.

    Attributes:
        url: the URL as given.
        shown: the URL without credentials, for people to read.
        local: whether the folder is on the local disk.
    """

    def __init__(self, url: str) -> None:
        """Open the folder without writing to it.

        Raises:
            JobRefused: the URL cannot be used.
        """
        self.url, self.shown = url, public_url(url)
        self._files, self._root = open_url(url)
        self.local = "file" in _protocols(self._files)

    def prepare(self) -> "Output":
        """Check that the folder can be written, and remove unfinished files that killed jobs left over an hour ago."""
        self.write_bytes(PROBE, b"")
        self.delete(PROBE)
        if self.local:
            try:
                files.remove_abandoned(Path(self._root).rglob(f".*{PART}"))
            except OSError as error:
                raise JobRefused(f"{error.filename} of an earlier job cannot be removed ({error.strerror}).") from error
        return self

    def write_table(self, path: str, table: pa.Table) -> int:
        """Write a table as parquet (zstd) and return its size in bytes."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return self.write_bytes(path, buffer.getbuffer())

    def write_json(self, path: str, value: Any) -> int:
        """Write a value as indented JSON and return its size in bytes."""
        return self.write_bytes(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode())

    def write_bytes(self, path: str, data: bytes | memoryview) -> int:
        """Write a file, replacing an existing one, and return its size in bytes."""
        place = self._at(path)
        try:
            if self.local:
                target = Path(place)
                files.write(target, target.parent / f".{target.name}.{uuid.uuid4().hex}{PART}", data)
            else:
                self._files.pipe_file(place, bytes(data))
        except Exception as error:  # a file system's own errors are of any type
            raise refused(self.url, f"cannot be written at {path}", error) from error
        return len(data)

    def read_bytes(self, path: str) -> bytes | None:
        """The bytes of a file; None if it does not exist."""
        place = self._at(path)
        try:
            data: bytes = self._files.cat_file(place)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise refused(self.url, f"cannot be read at {path}", error) from error
        return data

    def read_json(self, path: str) -> Any:
        """The value that `write_json` wrote; None if the file does not exist or is not JSON."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The table that `write_table` wrote, or some of its columns; None if it does not exist."""
        place = self._at(path)
        try:
            with self._files.open(place, "rb") as file:
                return pq.read_table(file, columns=columns)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise refused(self.url, f"cannot be read at {path}", error) from error

    def list(self, folder: str = "") -> list[str]:
        """The sorted paths of all complete files below a folder; empty if the folder does not exist."""
        place = self._at(folder) if folder else self._root
        self._files.invalidate_cache()
        try:
            found = self._files.find(place)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise refused(self.url, "cannot be listed", error) from error
        return sorted(path[len(self._root) :].lstrip("/") for path in found if not path.endswith(PART))

    def move(self, targets: Mapping[str, str]) -> None:
        """Move files to their targets, replacing existing files. Files that do not exist are skipped."""
        places = {self._at(path): self._at(target) for path, target in targets.items()}
        try:
            if self.local:
                _move_local({Path(place): Path(target) for place, target in places.items()})
                return
            for place, target in places.items():
                with suppress(FileNotFoundError):
                    self._files.cp_file(place, target)
                    self._files.rm_file(place)
        except Exception as error:
            raise refused(self.url, "has files that cannot be moved", error) from error

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        place = self._at(path)
        try:
            self._files.rm_file(place)
        except FileNotFoundError:
            return
        except Exception as error:
            raise refused(self.url, f"cannot be deleted at {path}", error) from error

    def _at(self, path: str) -> str:
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is not a path below the folder")
        return f"{self._root.rstrip('/')}/{path}"


def open_output(url: str) -> Output:
    """Open the folder at a URL and check that it can be written.

    Raises:
        JobRefused: the URL cannot be used, or the folder cannot be written.
    """
    return Output(url).prepare()


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _move_local(targets: Mapping[Path, Path]) -> None:
    for place, target in targets.items():
        files.make_folder(target.parent)
        with suppress(FileNotFoundError):
            place.replace(target)
    for folder in {target.parent for target in targets.values()}:
        files.synchronise(folder)
