"""The images of a folder or bucket."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployments.pictures.formats import SUFFIXES
from jobs.runtime.errors import JobRefused
from jobs.runtime.urls import open_url, public_url, refused


@dataclass(frozen=True, order=True)
class SourceFile:
    """A file: its path below the input, and its size in bytes."""

    path: str
    size: int


class Source:
    """A folder on any fsspec URL. It can be pickled for a Ray task."""

    def __init__(self, url: str) -> None:
        """JobRefused for a URL that cannot be used."""
        self.url, self.shown = url, public_url(url)
        self._files, self._root = open_url(url)

    def find(self) -> list[SourceFile]:
        """All images below the folder, by their file extensions, sorted; hidden files and folders are left out.

        Raises:
            JobRefused: the folder cannot be listed, or there is no image in it.
        """
        try:
            if self._files.isfile(self._root):
                raise JobRefused(f"{self.shown} is a file: name the folder that holds the images.")
            found = sorted(self._walk())
        except JobRefused:
            raise
        except Exception as error:  # each file system has its own errors
            raise refused(self.url, "cannot be listed", error) from error
        if not found:
            raise JobRefused(f"There is no image in {self.shown}: their names end in {', '.join(SUFFIXES)}.")
        return found

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises the errors of its file system."""
        data: bytes = self._files.cat_file(f"{self._root.rstrip('/')}/{path}")
        return data

    def _walk(self) -> Iterator[SourceFile]:
        # fsspec's own walk leaves out, silently, a folder that cannot be read.
        self._files.invalidate_cache()
        folders = [self._root]
        while folders:
            folder = folders.pop()
            for entry in self._files.ls(folder, detail=True):
                path = entry["name"].rstrip("/")
                name = path.rpartition("/")[2]
                if name.startswith(".") or path == folder:
                    continue
                if entry["type"] == "directory":
                    folders.append(path)
                elif name.lower().endswith(SUFFIXES):
                    yield SourceFile(path[len(self._root) :].lstrip("/"), int(entry["size"] or 0))


def signature(images: Iterable[SourceFile]) -> str:
    """A hash of the images' paths and sizes, in their order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.size} {image.path}\n".encode("utf-8", errors="surrogateescape"))
    return digest.hexdigest()
