"""The folder of a job's results, on any fsspec URL. A reader finds a file complete or not at all.

In a folder of this machine a file is written beside its place under a name that begins with a dot, synchronised, and
renamed; an object store shows an object when it has all of it. Whoever globs `table/date=*/*.parquet`, or opens the
folder as a parquet dataset, sees no file whose name, or whose folder's, begins with `.` or `_`.
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
        self._files, self._root = open_url(url)
        self.local = "file" in _protocols(self._files)

    def prepare(self) -> "Output":
        """Show that the folder can be written, and remove what killed jobs left half written an hour ago or earlier."""
        self.write_bytes(PROBE, b"")
        self.delete(PROBE)
        if self.local:
            try:
                files.remove_abandoned(Path(self._root).rglob(f".*{PART}"))
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
        """A file's bytes; None where there is no such file."""
        place = self._at(path)
        try:
            data: bytes = self._files.cat_file(place)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise refused(self.url, f"cannot be read at {path}", error) from error
        return data

    def read_json(self, path: str) -> Any:
        """What a file of `write_json` holds; None where there is none, or one that is no JSON."""
        data = self.read_bytes(path)
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table | None:
        """A table of `write_table`, or some of its columns; None where there is none."""
        place = self._at(path)
        try:
            with self._files.open(place, "rb") as file:
                return pq.read_table(file, columns=columns)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise refused(self.url, f"cannot be read at {path}", error) from error

    def list(self, folder: str = "") -> list[str]:
        """Every complete file below a folder, as paths of this output, sorted; none where there is no such folder."""
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
        """Move files, each to its target, replacing what is there; one that is not there is no error."""
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
        """Delete a file; one that is not there is no error."""
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
    """The folder at a URL, made sure to be writable. JobRefused when it is not."""
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
