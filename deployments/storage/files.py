"""Atomic writes on the local disk: a file is written beside its target, synchronised, and renamed."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

# After this long, an unfinished file is taken to be left over from a killed process.
ABANDONED_AFTER_S = 3600.0


# Modes of what its owner alone may read, and of what the umask decides about.
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
SHARED_FOLDER, SHARED_FILE = 0o777, 0o666


def write(target: Path, part: Path, data: bytes | memoryview, *, private: bool = False) -> None:
    """Write `target` atomically and durably, replacing an existing file.

    Args:
        target: the file; its folder is made if it is missing.
        part: the name of the temporary file: it must not exist, and must be in the same file system.
        data: the whole content.
        private: whether only the owner may read the file and the folders that are made.
    """
    for folder in (target.parent, part.parent):
        make_folder(folder, private=private)
    mode = PRIVATE_FILE if private else SHARED_FILE
    try:
        with open(part, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    synchronise(target.parent)


def move(targets: Mapping[Path, Path], *, private: bool = False) -> None:
    """Move files to their targets durably; a file that does not exist is no error.

    A folder that is missing is made: for its owner alone where `private` is set.
    """
    for place, target in targets.items():
        make_folder(target.parent, private=private)
        with suppress(FileNotFoundError):
            place.replace(target)
    for folder in {target.parent for target in targets.values()}:
        synchronise(folder)


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Create a folder and its parents durably: for their owner alone where `private` is set."""
    if folder.is_dir():
        return
    make_folder(folder.parent, private=private)
    folder.mkdir(PRIVATE_FOLDER if private else SHARED_FOLDER, exist_ok=True)
    synchronise(folder.parent)


def synchronise(folder: Path) -> None:
    """Flush the directory entries of a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(parts: Iterable[Path]) -> None:
    """Remove those of the unfinished files `parts` that have not been written to for an hour."""
    before = time.time() - ABANDONED_AFTER_S
    for part in parts:
        try:
            if part.stat().st_mtime < before:
                part.unlink()
        except FileNotFoundError:  # another process removed it at the same time
            continue
