"""The folder of a job's results, on any fsspec URL. A reader finds a file complete or not at all.

Whoever globs `table/date=*/*.parquet`, or opens the folder as a parquet dataset, sees no file whose name, or whose
folder's, begins with `.` or `_`: under such names are the parts of files that are being written.
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

from deployments.runtime.folder import Folder, NotBelow
from jobs.runtime.errors import JobRefused
from jobs.runtime.urls import open_url, public_url, refused

PART = ".part"
PROBE = "_writable"


class Output:
    """Files by their path below the folder, `images/part=00000/images.parquet`. It can be pickled for a Ray task.

    A method raises JobRefused when the folder fails.

    Attributes:
        url: as it was given.
        shown: the same without credentials, for people to read.
        local: whether it is a folder of the machine itself.
    """

    def __init__(self, url: str) -> None:
        """Nothing is written yet. JobRefused for a URL that cannot be used."""
        self.url, self.shown = url, public_url(url)
        self._folder = Folder(*open_url(url))
        self.local = self._folder.local

    def prepare(self) -> "Output":
        """Show that the folder can be written, and remove what killed jobs left half written an hour ago or earlier."""
        self.write_bytes(PROBE, b"")
        self.delete(PROBE)
        try:
            self._folder.remove_abandoned(f"**/.*{PART}")
        except OSError as error:
            raise JobRefused(f"{error.filename} of an earlier job cannot be removed ({error.strerror}).") from error
        return self

    def write_table(self, path: str, table: pa.Table) -> int:
        """Write a table as parquet (zstd); its size in bytes."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return self.write_bytes(path, buffer.getbuffer())

    def write_json(self, path: str, value: Any) -> int:
        """Write what JSON knows, readable; its size in bytes."""
        return self.write_bytes(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode())

    def write_bytes(self, path: str, data: bytes | memoryview) -> int:
        """Write a file, replacing one that is there; its size in bytes."""
        folder, name = posixpath.split(path)
        with self._refusing(f"cannot be written at {path}"):
            self._folder.write(path, posixpath.join(folder, f".{name}.{uuid.uuid4().hex}{PART}"), data)
        return len(data)

    def read_bytes(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""
        with self._refusing(f"cannot be read at {path}"):
            try:
                return self._folder.read(path)
            except FileNotFoundError:
                return None

    def read_json(self, path: str) -> Any:
        """What a file of `write_json` holds; None where there is none, or one that is no JSON."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """A table of `write_table`, or some of its columns; None where there is none."""
        with self._refusing(f"cannot be read at {path}"):
            try:
                with self._folder.open(path) as file:
                    return pq.read_table(file, columns=columns)
            except FileNotFoundError:
                return None

    def list(self, folder: str = "") -> list[str]:
        """Every complete file below a folder, as paths of this output, sorted; none where there is no such folder."""
        with self._refusing("cannot be listed"):
            return [path for path in self._folder.find(folder) if not path.endswith(PART)]

    def move(self, targets: Mapping[str, str]) -> None:
        """Move files, each to its target, replacing what is there; one that is not there is no error."""
        with self._refusing("has files that cannot be moved"):
            self._folder.move(targets)

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is no error."""
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
    """The folder at a URL, made sure to be writable. JobRefused when it is not."""
    return Output(url).prepare()
