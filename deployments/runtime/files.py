"""Files of this machine that are there complete or not at all: written beside their place, synchronised, renamed."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

# What a killed process leaves half written is nobody's after this long.
ABANDONED_AFTER_S = 3600.0


def write(target: Path, part: Path, data: bytes | memoryview) -> None:
    """Replace `target`, which is on the disk afterwards; `part` is a new name in the same file system."""
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
    """Move files, each to its target, where they are on the disk afterwards; one that is not there is no error."""
    for place, target in targets.items():
        make_folder(target.parent)
        with suppress(FileNotFoundError):
            place.replace(target)
    for folder in {target.parent for target in targets.values()}:
        synchronise(folder)


def make_folder(folder: Path) -> None:
    """Create a folder with its parents, so that their names are on the disk too."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    synchronise(folder.parent)


def synchronise(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(parts: Iterable[Path]) -> None:
    """Remove what killed processes left half written an hour ago or earlier."""
    before = time.time() - ABANDONED_AFTER_S
    for part in parts:
        try:
            if part.stat().st_mtime < before:
                part.unlink()
        except FileNotFoundError:  # another process tidies too
            continue
