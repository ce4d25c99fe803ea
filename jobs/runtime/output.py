"""The folder of a job's results, at any fsspec URL. A reader finds a file complete or not at all.

Unfinished files have names that start with `.`. A glob such as `table/date=*/*.parquet` and the readers of parquet
datasets skip them, as they skip names that start with `_`.
"""

import io
import json
import posixpath
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deployments.storage.folder import Folder, NotBelow
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
        self._folder = Folder(*open_url(url))
        self.local = self._folder.local

    def prepare(self) -> "Output":
        """Check that the folder can be written, and remove unfinished files that killed jobs left over an hour ago."""
        self.write_bytes(PROBE, b"")
        self.delete(PROBE)
        try:
            self._folder.remove_abandoned(f"**/.*{PART}")
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
        folder, name = posixpath.split(path)
        with self._refusing(f"cannot be written at {path}"):
            self._folder.write(path, posixpath.join(folder, f".{name}.{uuid.uuid4().hex}{PART}"), data)
        return len(data)

    def read_bytes(self, path: str) -> bytes | None:
        """The bytes of a file; None if it does not exist."""
        with self._refusing(f"cannot be read at {path}"):
            try:
                return self._folder.read(path)
            except FileNotFoundError:
                return None

    def read_json(self, path: str) -> Any:
        """The value that `write_json` wrote; None if the file does not exist or is not JSON."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The table that `write_table` wrote, or some of its columns; None if it does not exist."""
        with self._refusing(f"cannot be read at {path}"):
            try:
                with self._folder.open(path) as file:
                    return pq.read_table(file, columns=columns)
            except FileNotFoundError:
                return None

    def list(self, folder: str = "") -> list[str]:
        """The sorted paths of all complete files below a folder; empty if the folder does not exist."""
        with self._refusing("cannot be listed"):
            return [path for path in self._folder.find(folder) if not path.endswith(PART)]

    def move(self, targets: Mapping[str, str]) -> None:
        """Move files to their targets, replacing existing files. Files that do not exist are skipped."""
        with self._refusing("has files that cannot be moved"):
            self._folder.move(targets)

    def delete(self, path: str) -> None:
        """Delete a file, if it exists."""
        with self._refusing(f"cannot be deleted at {path}"):
            self._folder.delete(path)

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotBelow:
            raise
        except Exception as error:  # a file system's own errors are of any type
            raise refused(self.url, what, error) from error


def open_output(url: str) -> Output:
    """Open the folder at a URL and check that it can be written.

    Raises:
        JobRefused: the URL cannot be used, or the folder cannot be written.
    """
    return Output(url).prepare()
