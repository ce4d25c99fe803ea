"""Files of weights from plain URLs: downloaded whole or not at all, compared with their hash, and read once."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from deployments.runtime.errors import WeightsNotFound
from deployments.wire.foreign import named

logger = logging.getLogger("ray.serve.panoptes.weights")

STALLED_S = 60.0  # the longest wait for a connection or for the next bytes of a download


def read(path: Path, sha256: str | None) -> bytes:
    """The bytes of a file, which are those that were compared with the hash: load from them, not from the path.

    Args:
        path: the file.
        sha256: its SHA-256 in hexadecimal, or the first digits of it; None where it is not known.

    Raises:
        WeightsNotFound: the file cannot be read, or has another hash.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsNotFound(f"{path} cannot be read ({named(error)}): correct its permissions") from error
    _compare(str(path), hashlib.sha256(data).hexdigest(), sha256, "Delete the file, so that it is downloaded again")
    return data


def fetch(url: str, target: Path, sha256: str | None) -> Path:
    """Download a file, unless it is there.

    It gets its name only when it is complete and has the expected hash: a download that breaks off leaves nothing.

    Args:
        url: where it is.
        target: where it will be.
        sha256: as for `read`.

    Raises:
        WeightsNotFound: it cannot be downloaded or stored, or what came has another hash.
    """
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                found = _download(url, file.write)
            _compare(url, found, sha256, f"Try again, or put the file that you trust at {target}")
            part.chmod(0o644)
            part.replace(target)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
    except (OSError, httpx.HTTPError) as error:
        raise WeightsNotFound(f"{url} cannot be stored as {target} ({named(error)})") from error
    if sha256 is None:
        logger.warning("No hash of %s is known. It came with SHA-256 %s: compare and keep it", url, found)
    return target


def _download(url: str, write: Callable[[bytes], object]) -> str:
    """Give a download to `write`, and return its SHA-256."""
    found = hashlib.sha256()
    with httpx.stream("GET", url, timeout=STALLED_S, follow_redirects=True) as response:
        response.raise_for_status()
        for part in response.iter_bytes():
            found.update(part)
            write(part)
    return found.hexdigest()


def _compare(what: str, found: str, expected: str | None, remedy: str) -> None:
    if expected is not None and not found.startswith(expected.lower()):
        raise WeightsNotFound(
            f"{what} is not the file that configs/models.yaml names: its SHA-256 is {found}, expected {expected}. "
            f"{remedy}; if you made these weights yourself, set VERIFY_WEIGHTS=false."
        )
