"""Atomic writes on the local disk: a file is written beside its target, synchronised, and renamed."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

# After this long, an unfinished file is taken to be left over from a killed process.
ABANDONED_AFTER_S = 3600.0


def write(target: Path, part: Path, data: bytes | memoryview) -> None:
    """Write `target` atomically and durably, replacing an existing file.

    `part` is the name of the temporary file: it must not exist, and must be in the same file system.
    """
    for folder in (target.parent, part.parent):
        make_folder(folder)
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    synchronise(target.parent)


def move(targets: Mapping[Path, Path]) -> None:
    """Move files to their targets durably; a file that does not exist is no error."""
    for place, target in targets.items():
        make_folder(target.parent)
        with suppress(FileNotFoundError):
            place.replace(target)
    for folder in {target.parent for target in targets.values()}:
        synchronise(folder)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
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
